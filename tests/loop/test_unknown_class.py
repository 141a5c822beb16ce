"""A digit that the model never saw, through the whole loop in one process: told from a corruption, confirmed by a person, never given to a filter."""

import numpy as np
import pytest

from agents.in_process import InProcess
from agents.messages import AskLabels, HarmAssessed, IncidentClosed, IncidentOpened, NoteMade, PrepareRemedy
from agents.policy import Detection, Labels, Policy, Remedies
from agents.state import State
from agents.story import tell
from scenarios.brought import Brought, gather
from scenarios.corruptions import corrupt
from scenarios.datasets import load
from scenarios.scenario import Scenario, Segment
from workflows.steps.train import train

pytestmark = pytest.mark.training

UNSEEN = 4
NAME = "nine-digits"
POLICY = Policy(
    checks={"unknown_class": {}}, detection=Detection(window=400), remedies=Remedies(prepare=("recalibrate",)), labels=Labels(choose=40, verify=40)
)


@pytest.fixture(scope="module")
def nine(tmp_path_factory):
    """A data set of nine digits, its first model, and what is held out of both."""
    root, folder = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("models")
    parts = {split: load("digits", split) for split in ("train", "calibration", "test")}
    classes = np.array([name for place, name in enumerate(parts["train"].classes) if place != UNSEEN])
    known = {split: (part.images[part.labels != UNSEEN], part.labels[part.labels != UNSEEN]) for split, part in parts.items()}
    held = [np.concatenate([known["calibration"][i], known["test"][i]]) for i in (0, 1)]
    for name, (images, labels) in (("train", known["train"]), ("held_out", held)):
        np.savez(root / f"{name}.npz", images=images, labels=labels - (labels > UNSEEN), classes=classes)
    gather(Brought(train="train.npz", held_out="held_out.npz"), root, root / NAME, (1, 28, 28), None, lambda _: None)
    train(NAME, folder / f"{NAME}-first", name=f"{NAME}-first", root=root)
    unseen = np.concatenate([part.images[part.labels == UNSEEN] for part in parts.values()])
    return root, folder / f"{NAME}-first", unseen


@pytest.fixture
def play(nine, tmp_path):
    """Sends 400 known digits, then what `changed` makes of the data until the incident rests; returns the loop and the first incident's story."""
    root, model, unseen = nine

    def play(changed, *, share=0.5):
        known = load(NAME, "test", root)
        images, labels = (unseen, np.full(len(unseen), -1)) if changed == "unseen" else (corrupt(known.images, changed, seed=1), known.labels)
        pool = {changed: (images[0::2], labels[0::2], images[1::2], labels[1::2])}
        segments = (Segment(records=400), Segment(corruption=changed, share=share, until="closed", records=6000))
        with State(tmp_path / changed) as state:
            state.pipeline(model.name).symlink_to(model)
            loop = InProcess(state, Scenario(name=changed, dataset=NAME, segment=segments), policy=POLICY, dataset=NAME, root=root, pool=pool)
            loop.run()
        [first, *_] = loop.ledger.messages(IncidentOpened)
        return loop, first, loop.ledger.story(first.incident)

    return play


def only(story, kind):
    return [message for message in story if isinstance(message, kind)]


def test_a_digit_that_the_model_has_no_class_for_leads_to_a_question_and_to_a_new_class_but_to_no_remedy(play):
    loop, opened, story = play("unseen")
    assert opened.kind == "unknown class"
    assert 400 < opened.onset <= opened.alarm_at <= 600
    [ask] = only(story, AskLabels)
    assert (ask.question, len(ask.items), ask.purpose) == (f"{NAME}-1/class", 6, "teaching")
    shown = [loop.replay.person().label(seq) for seq in ask.items]
    assert shown.count("none of these") >= 5, "they are drawn of those that are unlike all that is known, not at random"
    [rest] = only(story, IncidentClosed)
    assert (rest.outcome, rest.reason) == ("unknown class", "2 of 2 images show none of the classes: collect and label a new one")
    assert loop.ledger.messages(PrepareRemedy, HarmAssessed) == []
    assert any("opened, unknown class: " in text and "new content with confidence" in text for text in tell(story))


@pytest.mark.parametrize("corruption", ["impulse_noise", "fog"])
def test_a_corruption_is_told_from_it_and_mended_as_if_nobody_looked_for_new_classes(play, corruption):
    _, opened, story = play(corruption)
    assert opened.kind == "drift"
    assert not any(ask.question.endswith("/class") for ask in only(story, AskLabels))
    assert [request.remedy for request in only(story, PrepareRemedy)] == ["recalibrate"]
    assert only(story, NoteMade) == []
