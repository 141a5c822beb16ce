"""A scikit-learn pipeline that answers rows of a table: watched, shown as a table, and trained anew by its owner's code."""

import numpy as np
import onnx
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from agents import subject as subjects
from agents.in_process import InProcess
from agents.messages import PrepareRemedy, RemediesMeasured
from agents.pictures import row_table
from agents.policy import Choice, Detection, Labels, Policy, Remedies, Verification
from agents.state import State
from models.networks.brought import BroughtError
from models.networks.onnx_classifier import speak_rows
from models.networks.source import Source
from models.remedies import refit
from models.remedies.context import RemedyContext
from models.training import look, make_reference
from scenarios.datasets import load
from scenarios.errors import DataError
from scenarios.rows import read_rows
from scenarios.scenario import Must, Scenario, Segment
from workflows.brought import load_deployment
from workflows.inference import BadImages
from workflows.serving.service import Service

skl2onnx = pytest.importorskip("skl2onnx")
FEATURES = ("temperature (°C)", "pressure (bar)", "flow (l/s)", "noise (dB)")
CLASSES = ("idle", "running", "worn")
POLICY = Policy(
    detection=Detection(window=400), labels=Labels(choose=40, verify=40, teaching=40), verification=Verification(records=300),
    remedies=Remedies(compare_records=300), choice=Choice(max_clean_loss=0.02),
)
FILE = """
name = "pump"
classes = ["idle", "running", "worn"]
[model]
onnx = "pump.onnx"
features = ["temperature (°C)", "pressure (bar)", "flow (l/s)", "noise (dB)"]
{more}
[data]
train = "train.csv"
held_out = "held_out.csv"
drifted = "drifted.csv"
label = "state"
"""
FIT = """
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler


def fit(rows, labels):
    model = make_pipeline(StandardScaler(), RandomForestClassifier(60, max_depth=8, random_state=0)).fit(rows, labels)
    return to_onnx(model, rows[:1])


def wider(rows, labels):
    model = make_pipeline(PolynomialFeatures(2), RandomForestClassifier(5, random_state=0)).fit(rows, labels)
    return to_onnx(model, rows[:1])


def nothing(rows, labels):
    return len(rows)
"""


def measured(count, seed, *, fahrenheit=False):
    """Rows float32 [n, 4] of a pump in three states, int64 [n]; the thermometer may report in another unit."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 3, count)
    centre = np.array([[20, 1, 0, 30], [40, 5, 10, 60], [60, 4, 6, 75]], np.float64)[labels]
    rows = centre + draw.normal(size=(count, 4)) * [4, 0.5, 1.5, 5]
    if fahrenheit:
        rows[:, 0] = rows[:, 0] * 1.8 + 32
    return rows.astype(np.float32), labels.astype(np.int64)


def model(kind):
    fitted = make_pipeline(StandardScaler(), kind).fit(*measured(600, 0))
    return fitted, skl2onnx.to_onnx(fitted, measured(1, 0)[0])


def write_csv(path, rows, labels):
    lines = [",".join((*FEATURES, "state")), *(",".join((*(f"{value:.6g}" for value in row), CLASSES[label])) for row, label in zip(rows, labels, strict=True))]
    path.write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.parametrize(
    ("kind", "place"), [(LogisticRegression(), "4 wide"), (RandomForestClassifier(20, max_depth=5, random_state=0), "4 wide")], ids=["linear", "forest"]
)
def test_a_pipeline_of_scikit_learn_answers_as_before_with_rows_as_early_features(kind, place):
    fitted, graph = model(kind)
    classifier, latent, probabilities = speak_rows(graph, FEATURES, 3)
    rows, _ = measured(50, 1)
    answer = classifier(__import__("torch").tensor(rows)[:, :, None, None])
    np.testing.assert_allclose(answer.logits.softmax(1).numpy(), fitted.predict_proba(rows), atol=1e-4)
    np.testing.assert_array_equal(answer.early.numpy(), rows)
    np.testing.assert_allclose(answer.latent.numpy(), fitted[0].transform(rows), atol=1e-4)
    assert probabilities and place in str(latent) and classifier.features == FEATURES


def test_a_graph_with_another_number_of_columns_is_refused():
    _, graph = model(LogisticRegression())
    with pytest.raises(BroughtError, match=r"the graph takes \[None, 4\] and there are 3 features"):
        speak_rows(graph, FEATURES[:3], 3)


def test_a_row_is_shown_as_a_table_that_fits():
    row = np.array([36.5, 1.25, 0, 60], np.float32)
    assert row_table(row, FEATURES, 40, 10).plain.splitlines()[1].split() == ["pressure", "(bar)", "1.25"]
    assert row_table(row, FEATURES, 40, 3).plain.splitlines()[-1] == "... and 2 more"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n1,2\n", r"has no columns \['label'\]; its header has \['a', 'b'\]"),
        ("a,b,label\n1,x,cat\n", "is no CSV file of numbers"),
        ("a,b,label\n1,nan,cat\n", "row 1 has a value that is no finite number"),
        ("a,b,label\n1,2,cat\n3,4", "row 2 is too short; expected a value for each of"),
        ("a,b,label\n1,2,cow\n", r"labels \['cow'\] are none of the classes \['cat', 'dog'\]"),
    ],
)
def test_rows_that_cannot_be_used_are_refused_with_what_was_expected(tmp_path, text, told):
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=told):
        read_rows(tmp_path / "rows.csv", ("a", "b"), "label", ("cat", "dog"))


@pytest.fixture
def place(tmp_path):
    """Everything that the pump's owner has."""
    for name, count, seed, fahrenheit in (("train", 800, 0, False), ("held_out", 1200, 1, False), ("drifted", 800, 2, True)):
        write_csv(tmp_path / f"{name}.csv", *measured(count, seed, fahrenheit=fahrenheit))
    onnx.save(model(LogisticRegression())[1], tmp_path / "pump.onnx")
    (tmp_path / "pump.py").write_text(FIT, encoding="utf-8")

    def write(more=""):
        (tmp_path / "pump.toml").write_text(FILE.format(more=more), encoding="utf-8")
        return load_deployment(tmp_path / "pump.toml")

    return write


def test_the_service_takes_rows_in_any_unit_keeps_them_whole_and_refuses_others(place, tmp_path):
    said = []
    with State(tmp_path / "state") as state:
        subject = subjects.of_file(place(), POLICY, state, said.append, str)
        service = Service()
        service.load(state.pipeline(subject.first))
        service.activate(subject.first)
        held = load("pump", "test", subject.root)
        answers = service.infer(held.images)
        assert (answers.labels == held.labels).mean() > 0.9
        np.testing.assert_array_equal(service.images(answers.seqs).images, held.images)
        assert (service.shadow(subject.first, answers.seqs).labels == answers.labels).all()
        with pytest.raises(BadImages, match=r"'pressure \(bar\)' has NaN"):
            service.infer(np.array([[1, np.nan, 3, 4]], np.float32))
        with pytest.raises(BadImages, match=r"expected \[n, 4\]: temperature"):
            service.infer(np.zeros((1, 3), np.float32))
    assert "this model is monitored; no remedy of the policy can mend it" in said
    assert any("names none as refit" in text for text in said)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("pump.py:fit", None),
        ("pump.py:wider", r"latents of pump.py:wider are 15 wide and those of the live model 4"),
        ("pump.py:nothing", "returns a int; expected an ONNX model"),
    ],
)
def test_what_the_owners_code_returns_must_fit_the_deployment(place, tmp_path, entry, told):
    place()
    classifier, _, _ = speak_rows(onnx.load(tmp_path / "pump.onnx"), FEATURES, 3, refit=Source(entry, str(tmp_path)))
    rows, labels = measured(300, 0)
    drifted, truth = measured(60, 5, fahrenheit=True)
    context = RemedyContext(
        classifier=classifier, clean_images=rows, clean_labels=labels, reference=make_reference(classifier, (rows, labels), measured(100, 1)),
        drifted=drifted, teaching=np.arange(30), teaching_labels=truth[:30],
    )
    if told is not None:
        with pytest.raises((ValueError, TypeError), match=told):
            refit.prepare(context)
        return
    new = refit.prepare(context).classifier
    shown, wanted = measured(300, 6, fahrenheit=True)
    before, after = (float((look(one, shown).logits.argmax(1).numpy() == wanted).mean()) for one in (classifier, new))
    assert after > before + 0.1


@pytest.mark.training
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("more", "outcome"), [("", "no remedy"), ('refit = "pump.py:fit"', "verified")], ids=["monitored", "refitted"])
def test_a_sensor_in_another_unit_is_noticed_and_mended_where_the_owner_gives_code_for_it(place, tmp_path, more, outcome):
    scenario = Scenario(
        name="unit", must=Must(detected_within=200),
        segment=(Segment(records=300), Segment(records=20_000, corruption="drifted", until="closed"), Segment(records=500)),
    )
    with State(tmp_path / "state") as state:
        subject = subjects.of_file(place(more), POLICY, state, str, str)
        loop = InProcess(state, scenario, policy=subject.policy, dataset=subject.name, root=subject.root, impossible=subject.impossible)
        found = loop.run()
    assert found["state"] == outcome and found["failed_requests"] == 0
    assert {one.remedy for one in loop.ledger.messages(PrepareRemedy)} == ({"refit"} if more else set())
    [first, *_] = loop.ledger.messages(RemediesMeasured)
    assert "filter" in first.failed
    if more:
        assert found["after"] > found["as_is"] + 0.15
