"""A reference is saved without pickle, refused when damaged, and grows by known drifts."""

import numpy as np
import pytest

from models.detectors.synthetic import mixture, mixture_reference
from models.reference import BadReferenceError, Reference


def test_a_saved_reference_comes_back_equal_with_its_known_drifts(tmp_path):
    reference = mixture_reference(seed=0).with_component(*mixture(60, seed=1, shift=2)).with_component(*mixture(80, seed=2, shift=-2))
    reference.save(tmp_path / "reference.npz")
    again = Reference.load(tmp_path / "reference.npz")
    assert [component.name for component in again.components] == ["clean", "drift0", "drift1"]
    for old, new in zip(reference.components, again.components, strict=True):
        for part in ("fit_early", "fit_latent", "calibration_early", "calibration_latent"):
            np.testing.assert_array_equal(getattr(old, part), getattr(new, part))
    assert again.clean_accuracy == reference.clean_accuracy
    np.testing.assert_array_equal(again.calibration_labels, reference.calibration_labels)
    assert [path.name for path in tmp_path.iterdir()] == ["reference.npz"]


def test_features_are_standardised_by_the_clean_fit_part_even_of_an_almost_constant_column():
    reference = mixture_reference(seed=0)
    features = reference.features(reference.fit_early, reference.fit_latent)
    assert np.abs(features.mean(0)).max() < 1e-6 and np.abs(features.std(0) - 1).max() < 1e-6
    arrays = {name: getattr(reference, name).copy() for name in reference.__dataclass_fields__ if name not in {"drifts", "clean_accuracy"}}
    arrays["fit_early"][:, 0] = 0
    constant = Reference.from_arrays({**arrays, "clean_accuracy": 1.0})
    stray = arrays["fit_early"][:1] + np.eye(1, 16, dtype=np.float32)
    assert abs(constant.standard_early(stray)[0, 0]) < 50, "one stray pixel in a black corner is odd, but not a thousand deviations odd"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"fit_early": None}, "arrays missing: fit_early"),
        ({"surprise": np.zeros(3)}, "'surprise' is not part of a reference"),
        ({"fit_latent": np.zeros((7, 16))}, "they must be equal"),
        ({"fit_early": np.full((500, 16), np.nan)}, "must be a finite float matrix"),
        ({"clean_accuracy": 93.0}, r"expected a share in \[0, 1\]"),
        ({"drift0_fit_early": np.zeros((20, 16))}, "known drift 0 is incomplete"),
        ({"calibration_labels": np.full(1000, 0.5)}, "must be whole numbers"),
    ],
)
def test_a_wrong_array_is_named(tmp_path, change, sentence):
    mixture_reference(seed=0).save(tmp_path / "good.npz")
    with np.load(tmp_path / "good.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays = {name: values for name, values in {**arrays, **change}.items() if values is not None}
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(BadReferenceError, match=sentence) as caught:
        Reference.load(tmp_path / "bad.npz")
    assert "bad.npz" in str(caught.value)


def test_a_missing_a_damaged_and_a_pickled_file_are_refused_with_the_file_named(tmp_path):
    with pytest.raises(BadReferenceError, match=r"no reference at .*gone\.npz"):
        Reference.load(tmp_path / "gone.npz")
    (tmp_path / "text.npz").write_bytes(b"hello")
    with pytest.raises(BadReferenceError, match=r"text\.npz is not a reference"):
        Reference.load(tmp_path / "text.npz")
    np.savez(tmp_path / "objects.npz", fit_early=np.array([{}], dtype=object))
    with pytest.raises(BadReferenceError, match=r"objects\.npz is not a reference"):
        Reference.load(tmp_path / "objects.npz")
    mixture_reference(seed=0).save(tmp_path / "whole.npz")
    (tmp_path / "half.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:20_000])
    with pytest.raises(BadReferenceError, match=r"half\.npz is not a reference"):
        Reference.load(tmp_path / "half.npz")


def test_features_of_another_model_and_too_few_records_are_refused():
    reference = mixture_reference(seed=0)
    with pytest.raises(BadReferenceError, match=r"expected \[n, 16\]; they must come from the model"):
        reference.features(np.zeros((3, 8)), np.zeros((3, 16)))
    with pytest.raises(BadReferenceError, match="at least 10 are needed"):
        reference.with_component(*mixture(12, seed=1))
    with pytest.raises(BadReferenceError, match="expected"):
        reference.with_component(np.random.default_rng(0).normal(size=(40, 3)), np.zeros((40, 16)))


def test_a_record_that_was_seen_twice_stands_in_one_part_of_a_known_drift_only():
    early, latent = mixture(50, seed=1, shift=2)
    drift = mixture_reference(seed=0).with_component(np.repeat(early, 3, axis=0), np.repeat(latent, 3, axis=0)).drifts[0]
    assert len(drift.fit_early) == len(drift.calibration_early) == 25
    assert not {row.tobytes() for row in drift.fit_early} & {row.tobytes() for row in drift.calibration_early}


def test_a_reference_on_some_of_its_calibration_rows_keeps_everything_else():
    whole = mixture_reference(seed=0).with_component(*mixture(50, seed=1, shift=2))
    half = whole.calibrated_on(np.arange(0, len(whole.calibration_labels), 2))
    np.testing.assert_array_equal(half.calibration_latent, whole.calibration_latent[::2])
    assert half.clean_accuracy == (whole.calibration_logits[::2].argmax(1) == whole.calibration_labels[::2]).mean()
    assert (half.fit_early is whole.fit_early, half.drifts) == (True, whole.drifts)
