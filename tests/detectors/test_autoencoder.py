"""The paper's detector, trained for real: reconstruction error and code tell corrupted digits from clean ones."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from models.detectors.reconstruction import Reconstruction, reconstruction_error
from models.networks.autoencoder import fit_autoencoder, redraw
from scenarios.corruptions import corrupt
from scenarios.datasets import load, to_float


@pytest.mark.training
def test_it_redraws_unseen_digits_far_better_than_the_mean_image_and_its_errors_tell_corruptions():
    train, calibration, test = (load("digits", split) for split in ("train", "calibration", "test"))
    clean = to_float(test.images)
    network = fit_autoencoder(to_float(train.images), epochs=12)
    redrawn, codes = redraw(network, clean)
    mean_image = to_float(train.images).mean(0)
    assert ((redrawn - clean) ** 2).mean() < 0.3 * ((mean_image - clean) ** 2).mean()

    kept = to_float(calibration.images)
    drawn, kept_codes = redraw(network, kept)
    detector = Reconstruction(reconstruction_error(kept, drawn), kept_codes)
    usual = detector.score(reconstruction_error(clean, redrawn), codes)
    for name in ("stripe", "impulse_noise", "fog", "translate"):
        images = to_float(corrupt(test.images, name, seed=0))
        drawn, odd_codes = redraw(network, images)
        odd = detector.score(reconstruction_error(images, drawn), odd_codes)
        auroc = mannwhitneyu(odd, usual).statistic / (len(odd) * len(usual))
        assert auroc > 0.95, f"{name}: {auroc:.3f}"


@pytest.mark.training
def test_the_same_seed_trains_the_same_network():
    images = np.random.default_rng(0).random((40, 1, 8, 8)).astype(np.float32)
    first, second = (redraw(fit_autoencoder(images, epochs=2, seed=3), images)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_images_of_a_wrong_kind_are_refused():
    with pytest.raises(ValueError, match="expected at least two images, float32"):
        fit_autoencoder(np.zeros((5, 8, 8), np.float32))
