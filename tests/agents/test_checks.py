"""What checks beside the monitor find: an incident of its kind, told in its story, with the remedies that make sense."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from agents.checker import Checker
from agents.improver import Improver
from agents.messages import (
    AnalyseWindow,
    AskLabels,
    EvidenceSaved,
    Finding,
    HarmAssessed,
    IncidentClosed,
    IncidentOpened,
    Likeness,
    LogBegun,
    NoteMade,
    PrepareRemedy,
    RecordsLabelled,
    WindowObserved,
    decode,
    encode,
)
from agents.policy import Detection, Policy, PolicyError, from_toml
from agents.story import line
from agents.team import load_checks
from models.weaknesses import catalogue
from models.weaknesses.decay import Decay
from models.weaknesses.synthetic import labelled, labelled_reference
from tests.agents.helpers import DEPLOYMENT, INCIDENT, FakeMonitor, analysed, closed, given, incident_closed, kinds, live

POLICY = Policy(detection=Detection(save_every=1, window=300, least=50))
REFERENCE = labelled_reference()


class NeverAlarms(FakeMonitor):
    """The monitor of drift is no part of these tests."""

    def update(self, early, latent):
        return replace(super().update(early, latent), alarm=False)


def hosting(**parameters):
    checker = Checker(DEPLOYMENT, POLICY, NeverAlarms, lambda _reference: {name: partial(catalogue.make, name, REFERENCE, given) for name, given in parameters.items()})
    checker.receive(live())
    return checker


def observed(records, *, refused=0):
    return WindowObserved(
        id=f"w{records.seqs[0]}", first=int(records.seqs[0]), last=int(records.seqs[-1]), pipeline="first", early=records.early.tobytes(),
        latent=records.latent.tobytes(), routed=bytes(len(records)), widths=(16, 16), labels=records.labels.tobytes(), logits=records.logits.tobytes(),
        facts=records.facts.tobytes(), refused=refused,
    )  # fmt: skip


def joined(records, pipeline="first"):
    columns = {name: getattr(records, name).tobytes() for name in ("seqs", "labels", "truth", "logits", "early", "latent")}
    sites = {"site": tuple(records.slices["site"].tolist())}
    return RecordsLabelled(id=f"l{records.seqs[0]}", source="labels", pipelines=(pipeline,) * len(records), slices=sites, **columns)


def opened_by(said):
    return next(message for message in said if isinstance(message, IncidentOpened))


# --- decay ---


def decayed(checker):
    checker.receive(observed(labelled(400, seed=1)))
    assert checker.receive(joined(labelled(200, seed=2))) == []
    return checker.receive(joined(labelled(200, seed=3, accuracy=0.7, after=200)))


def test_true_labels_that_come_late_open_an_incident_of_decay_and_the_newest_records_are_looked_at():
    opened, analyse = decayed(hosting(decay={}))
    assert (opened.kind, opened.incident) == ("decay", INCIDENT)
    assert 195 < opened.onset <= 220
    assert isinstance(analyse, AnalyseWindow)
    assert (analyse.first, analyse.count) == (max(opened.onset, 101), 300)
    assert f"{INCIDENT} opened, decay: " in line(opened)
    assert "newest labels agree with the model: accuracy" in line(opened)
    assert decode(encode(opened)) == opened


def test_what_true_labels_have_measured_is_not_asked_of_a_person_again():
    checker = hosting(decay={})
    _, analyse = decayed(checker)
    [ask] = checker.receive(analysed(analyse))
    assert isinstance(ask, AskLabels)
    assert ask.purpose == "teaching"
    [harm] = checker.receive(closed(ask.question))
    assert isinstance(harm, HarmAssessed)
    assert harm.harmful
    assert harm.remedies is None
    assert harm.interval[0] <= harm.accuracy <= harm.interval[1] < 0.98


def test_labels_of_records_that_another_pipeline_answered_say_nothing_of_this_one():
    checker = hosting(decay={})
    assert checker.receive(joined(labelled(300, seed=3, accuracy=0.1), pipeline="before")) == []


def test_a_checker_that_is_restored_does_not_wait_for_an_incident_that_was_reported_and_closed_at_once():
    finding = Finding("quality", "quality", "half of the images are black", 9.0, 5.0, "look at the camera", ())
    opened = IncidentOpened(id="o", source="checker", incident=INCIDENT, pipeline="first", onset=1, alarm_at=5, log_evidence=9.0, finding=finding)
    restored = hosting(decay={})
    restored.restore([live(), opened, incident_closed("reported", source="checker")])
    assert (restored.state, restored.incident, restored.incidents) == ("watching", "", 1)


def test_a_checker_that_is_restored_counts_what_labels_had_it_report_once(monkeypatch):
    monkeypatch.setattr(Decay, "remedies", ())  # only a person can mend it
    checker = hosting(decay={})
    first, second = joined(labelled(200, seed=2)), joined(labelled(200, seed=3, accuracy=0.7, after=200))
    said = [*checker.receive(first), second, *checker.receive(second)]
    assert kinds(said)[1:] == ["IncidentOpened", "IncidentClosed"]
    restored = hosting(decay={})
    restored.restore([first, *said])
    assert (restored.state, restored.incident, restored.incidents) == ("watching", "", 1) == (checker.state, checker.incident, checker.incidents)


def test_a_checker_that_is_restored_has_opened_the_incident_once_and_goes_on():
    checker = hosting(decay={})
    first, second = joined(labelled(200, seed=2)), joined(labelled(200, seed=3, accuracy=0.7, after=200))
    history = [live(), first, *checker.receive(first), second, *checker.receive(second)]
    restored = hosting(decay={})
    restored.restore(history[1:])
    assert (restored.state, restored.incident, restored.incidents) == ("analysing", INCIDENT, 1) == (checker.state, checker.incident, checker.incidents)
    assert restored.finding == checker.finding
    assert restored.panel.state() == checker.panel.state()


def test_labels_that_come_after_an_incident_that_nothing_mended_open_no_other_one_for_a_while():
    checker = hosting(decay={})
    checker.policy = Policy(detection=Detection(save_every=1, cool_down=300))
    decayed(checker)
    checker.receive(IncidentClosed(id="end", source="planner", incident=INCIDENT, outcome="no remedy", reason="none helps"))
    assert checker.receive(joined(labelled(200, seed=4, accuracy=0.5, after=400))) == []
    assert checker.panel.learn(joined(labelled(10, seed=4, accuracy=0.5, after=600)), "first") is not None, "it is known all the same"
    checker.receive(observed(labelled(400, seed=1, after=400)))
    assert opened_by(checker.receive(joined(labelled(10, seed=4, after=700)))).kind == "decay"


def test_labels_that_are_handed_in_twice_count_once_and_that_is_on_record():
    once, twice = hosting(decay={}), hosting(decay={})
    labels, more = joined(labelled(200, seed=2)), joined(labelled(300, seed=2))
    once.receive(more)
    twice.receive(labels)
    [note] = twice.receive(more)
    assert isinstance(note, NoteMade)
    assert note.text == "true labels of 200 records have come before; they are not counted again"
    restored = hosting(decay={})
    restored.panel.restore(twice.panel.state())
    assert restored.receive(more) and twice.receive(more)
    assert once.panel.state() == twice.panel.state() == restored.panel.state()
    twice.receive(LogBegun(id="begun", source="tracker", log="another"))
    assert twice.receive(more) == [], "records count from 1 again"


# --- a check that fails ---


def test_a_check_that_fails_is_left_out_and_that_is_on_record_while_the_others_go_on():
    checker = hosting(bias={"attributes": ("scanner",)}, decay={})
    [note] = checker.receive(joined(labelled(200, seed=2)))
    assert isinstance(note, NoteMade)
    assert "the check 'bias' failed and is left out until the next reference: ValueError: the records have no attribute 'scanner'" in note.text
    assert checker.receive(observed(labelled(400, seed=1)))[-1].cursor == 400
    assert opened_by(checker.receive(joined(labelled(200, seed=3, accuracy=0.7, after=200)))).kind == "decay"


def test_a_check_that_cannot_be_made_of_a_reference_does_not_keep_the_checker_from_its_work():
    checker = Checker(DEPLOYMENT, POLICY, NeverAlarms, lambda _reference: {"decay": partial(catalogue.make, "decay", None)})
    [note] = checker.receive(live())
    assert "'decay' failed" in note.text
    assert kinds(checker.receive(observed(labelled(400, seed=1)))) == ["EvidenceSaved", "EvidenceUpdated"]


# --- data quality ---


def covered():
    records = labelled(60, seed=4)
    records.facts[:, 1:] = 0
    return records


def test_bad_data_is_reported_to_a_person_and_no_remedy_is_tried():
    checker = hosting(quality={})
    opened, told, *_ = checker.receive(observed(covered()))
    assert (opened.kind, told.outcome) == ("quality", "reported")
    assert "pictures are blank" in told.reason
    assert "no remedy of the model mends them" in told.reason
    assert checker.state == "watching"
    later = replace(covered(), seqs=np.arange(61, 121))
    assert not any(isinstance(message, IncidentOpened) for message in checker.receive(observed(later))), "once is enough for a while"


def test_requests_that_the_service_refuses_are_bad_data_too():
    told = hosting(quality={}).receive(observed(labelled(60, seed=4), refused=30))
    assert "30 requests were refused" in next(message.reason for message in told if isinstance(message, IncidentClosed))


def test_pictures_that_had_left_the_ring_before_anybody_looked_break_no_rule():
    records = labelled(60, seed=4)
    records.facts[:] = np.nan
    assert kinds(hosting(quality={}).receive(observed(records))) == ["EvidenceSaved", "EvidenceUpdated"]


# --- adversarial inputs ---


def contradicted(checker):
    checker.receive(observed(labelled(300, seed=1)))
    return checker.receive(observed(labelled(100, seed=2, accuracy=0.5, after=300)))


def hurt(checker, analyse, likeness=None):
    [ask] = checker.receive(analysed(analyse, predicted=0, likeness=likeness))
    for seq in ask.items:
        checker.receive(given(ask.question, seq, 1))
    said = checker.receive(closed(ask.question, "settled"))
    while isinstance(said[-1], AskLabels):
        said = checker.receive(closed(said[-1].question))
    return ask, said[-1]


def test_answers_that_are_contradicted_open_an_incident_whose_remedies_harden_or_filter():
    checker = hosting(adversarial={})
    opened, analyse, *_ = contradicted(checker)
    assert opened.kind == "adversarial"
    assert 295 < opened.onset <= 310
    ask, harm = hurt(checker, analyse)
    assert "contradict their answers" in ask.text
    assert harm.remedies == ("harden", "filter")
    improver = Improver(DEPLOYMENT, POLICY)
    improver.receive(live())
    assert [request.remedy for request in improver.receive(harm) if isinstance(request, PrepareRemedy)] == ["harden", "filter"]


def test_what_a_model_cannot_have_is_not_tried_for_a_finding_either_and_its_stead_is():
    impossible = {"harden": "no weights", "filter": "no gradients", "refit": "no code"}
    checker = hosting(adversarial={})
    _, analyse, *_ = contradicted(checker)
    _, harm = hurt(checker, analyse, Likeness("fog", 3.0, 1.0, 0.6, "fog"))
    improver = Improver(DEPLOYMENT, POLICY, impossible)
    improver.receive(live())
    assert [request.remedy for request in improver.receive(harm) if isinstance(request, PrepareRemedy)] == ["filter_pairs"]
    assert improver.failed == {"harden": "no weights", "filter": "no gradients"}


def test_what_looks_like_a_known_corruption_for_certain_is_mended_as_drift_whichever_check_saw_it_first():
    checker = hosting(adversarial={})
    _, analyse, *_ = contradicted(checker)
    _, harm = hurt(checker, analyse, Likeness("fog", 3.0, 1.0, 0.99, "fog"))
    assert harm.remedies is None


def test_what_a_check_remembers_is_saved_and_a_new_checker_goes_on_from_there():
    checker = hosting(adversarial={}, quality={})
    saved = next(message for message in checker.receive(observed(labelled(300, seed=1))) if isinstance(message, EvidenceSaved))
    assert {"adversarial", "quality"} < set(saved.checks)
    restored = hosting(adversarial={}, quality={})
    restored.restore([saved])
    later = observed(labelled(100, seed=2, accuracy=0.5, after=300))
    assert opened_by(checker.receive(later)) == opened_by(restored.receive(later))


# --- bias ---


def test_a_slice_that_fares_worse_opens_an_incident_of_bias():
    checker = hosting(bias={"attributes": ("site",)})
    opened = opened_by(checker.receive(joined(labelled(1500, seed=5, accuracy=0.97, worse_in="south", worse=0.6))))
    assert opened.kind == "bias"
    assert "where site=south" in opened.finding.sentence
    assert opened.finding.remedies == ("reweight", "retrain")


# --- the policy ---


def test_a_policy_turns_checks_on_with_their_parameters(tmp_path):
    policy = from_toml("[checks.decay]\ntolerance = 0.05\n[checks.quality]\n")
    assert policy.checks == {"decay": {"tolerance": 0.05}, "quality": {}}
    REFERENCE.save(tmp_path / "reference.npz")
    assert list(load_checks(policy.checks, str(tmp_path / "reference.npz"))) == ["decay", "quality"]


@pytest.mark.parametrize(("text", "fault"), [
    ("[checks.decai]\n", "names 'decai'; did you mean 'decay'"), ("[checks.decay]\ntolerence = 0.1\n", "no key 'tolerence'; did you mean 'tolerance'"),
    ("[checks.decay]\ntolerance = 2.0\n", "expected a share"), ("[checks]\ndecay = 3\n", "write"), ("[checks.drift]\n", r"set it in \[detection\]"),
    ("[checks.unknown_class]\n", "needs the images themselves"), ('[checks.decay]\ntolerance = "much"\n', "checks.decay"),
])  # fmt: skip
def test_a_check_that_cannot_be_made_is_refused_with_what_is_allowed(text, fault):
    with pytest.raises(PolicyError, match=fault):
        from_toml(text)
