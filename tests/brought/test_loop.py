"""The whole loop around a model that somebody brings: a torch network, and the same network as an ONNX file without its source."""

import msgspec
import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from agents import subject as subjects
from agents.in_process import InProcess
from agents.messages import AskLabels, PrepareRemedy, RemediesMeasured
from agents.options import OptionError
from agents.policy import Detection, Labels, Policy, Remedies, Verification
from agents.remedies import sort_out
from agents.state import State
from models.networks.source import Source
from scenarios.datasets import load
from scenarios.scenario import Must, Scenario, Segment
from workflows.brought import load_deployment
from workflows.steps.bring import BringError

POLICY = Policy(
    detection=Detection(window=500), labels=Labels(choose=40, verify=40), verification=Verification(records=300),
    remedies=Remedies(prepare=("recalibrate", "filter"), compare_records=300),
)
SCENARIO = Scenario(
    name="mine", segment=(Segment(records=300), Segment(records=20_000, corruption="impulse_noise", until="closed"), Segment(records=1000)),
    must=Must(outcome="verified", detected_within=200),
)
FILE = """
name = "mine"
[model]
{model}
input = [1, 28, 28]
[data]
train = "train.npz"
held_out = "held_out.npz"
"""
TORCH = 'torch = "net.py:build"\narguments = {{ channels = 1, classes = 10, wide = 32 }}\nweights = "net.pt"'
NET = """
import torch
from torch import nn


def build(channels, classes, wide):
    blocks = []
    for before, after in ((channels, wide), (wide, wide)):
        blocks += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(wide * 49, 48), nn.ReLU(), nn.Linear(48, classes))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Everything that a user has: code, weights, an ONNX file, and clean data."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "net.py").write_text(NET, encoding="utf-8")
    train, calibration, test = (load("digits", split) for split in ("train", "calibration", "test"))
    np.savez(folder / "train.npz", images=train.images, labels=train.labels, classes=np.array(train.classes))
    held = np.concatenate([calibration.images, test.images]), np.concatenate([calibration.labels, test.labels])
    np.savez(folder / "held_out.npz", images=held[0], labels=held[1], classes=np.array(train.classes))
    torch.manual_seed(0)
    network = Source("net.py:build", str(folder), dict(channels=1, classes=10, wide=32)).build().train()
    images, labels = torch.tensor(train.images)[:, None] / 255, torch.tensor(train.labels)
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(12):
        for chosen in torch.randperm(len(labels)).split(64):
            loss = F.cross_entropy(network(images[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    torch.save(network.state_dict(), folder / "net.pt")
    torch.onnx.export(
        network.eval(), (images[:2],), str(folder / "net.onnx"), input_names=["x"], output_names=["y"], dynamo=False, opset_version=17,
        dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
    )
    return folder


def written(place, model, name="mine.toml"):
    (place / name).write_text(FILE.format(model=model.format()), encoding="utf-8")
    return load_deployment(place / name)


@pytest.mark.training
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("model", "tried", "failed"),
    [(TORCH, {"recalibrate", "filter"}, set()), ('onnx = "net.onnx"', {"filter_pairs"}, {"recalibrate", "filter"})],
    ids=["torch", "onnx"],
)
def test_a_brought_model_is_watched_mended_and_verified(place, tmp_path, model, tried, failed):
    said, metrics = [], []
    wanted = written(place, model)
    with State(tmp_path / "state") as state:
        subject = subjects.of_file(wanted, POLICY, state, said.append, metrics.append)
        assert metrics[0]["accuracy_clean"] > 0.9
        assert any("latents come from the input of" in text and "48 wide" in text for text in said)
        loop = InProcess(state, SCENARIO, policy=subject.policy, dataset=subject.name, root=subject.root, impossible=subject.impossible)
        outcome = loop.run()
        assert (outcome["state"], outcome["failed_requests"]) == ("verified", 0)
        assert outcome["chosen"] in tried and outcome["after"] > outcome["as_is"] + 0.1
        assert {one.remedy for one in loop.ledger.messages(PrepareRemedy)} == tried
        measured = list(loop.ledger.messages(RemediesMeasured))
        assert failed <= set(measured[0].failed)
        if model is not TORCH:
            assert any("cannot be trained, and gives no gradients" in text for text in said)
            assert any(text.startswith("no recalibrate for this model") for text in said)
            assert not [one for one in loop.ledger.messages(AskLabels) if one.purpose == "teaching"]


@pytest.mark.training
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_other_weights_under_the_same_name_need_another_state(place, tmp_path):
    with State(tmp_path / "state") as state:
        subjects.of_file(written(place, TORCH), POLICY, state, str, str)
        subjects.of_file(written(place, TORCH), POLICY, state, str, str)  # it starts from what it has
        with pytest.raises(OptionError, match="supervises another model of this name"):
            subjects.of_file(written(place, 'onnx = "net.onnx"'), POLICY, state, str, str)


@pytest.mark.training
@pytest.mark.parametrize(
    ("model", "told"),
    [
        ('torch = "net.py:build"\narguments = {{ channels = 1, classes = 10, wide = 32 }}', "hardly better than guessing among 10 classes"),
        (TORCH.replace("net.pt", "none.pt"), "there is no file of weights at .*none.pt"),
        (TORCH.replace("net.pt", "train.npz"), "holds no weights that can be read .* save model.state_dict"),
        (TORCH.replace("wide = 32", "wide = 16"), "the weights in .*net.pt are not those of this network"),
        (TORCH.replace("build", "built"), "net.py has no 'built'"),
        ('onnx = "none.onnx"', "there is no file .*none.onnx"),
        ('onnx = "net.py"', "is no ONNX file that can be read"),
    ],
)
def test_a_model_that_does_not_fit_ends_before_anything_runs(place, tmp_path, model, told):
    with State(tmp_path / "state") as state, pytest.raises(BringError, match=told):
        subjects.of_file(written(place, model), POLICY, state, str, str)
    assert not (tmp_path / "state" / "pipelines" / "mine-first" / "manifest.json").exists()


def test_a_policy_keeps_what_a_model_can_have_and_asks_nobody_to_teach_in_vain():
    nothing = dict.fromkeys(("recalibrate", "simulate", "filter", "filter_pairs", "fine_tune", "retrain", "refit"), "no")
    monitored = subjects.reduce(Policy(), nothing)
    assert monitored.labels.teaching == 0
    assert sort_out(Policy().remedies.prepare, nothing)[0] == ()
    assert subjects.reduce(Policy(checks={"bias": {}}), nothing).labels == Labels(), "what reweights for a bias learns from labels"
    assert subjects.reduce(Policy(), {}) == Policy()
    assert msgspec.structs.replace(monitored, remedies=Remedies(), labels=Labels()) == Policy()
