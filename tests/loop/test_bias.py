"""A slice of the traffic that fares worse, through the whole loop in one process: found, taught, mended and verified in that slice."""

import pytest

from agents.in_process import InProcess
from agents.messages import (
    AskLabels, HarmAssessed, IncidentClosed, IncidentOpened, PipelineLive, PrepareRemedy, RemediesCompared, RemediesMeasured, RemedyVerified,
)
from agents.policy import Choice, Detection, Harm, Labels, Policy
from agents.state import State
from scenarios.replay import load_scenario

pytestmark = pytest.mark.training

NEVER = 1e300  # records until the monitor of drift raises a false alarm: here it is slower than the check
POLICY = Policy(
    detection=Detection(run_length=NEVER, window=600), checks={"bias": {"attributes": ["site"]}}, harm=Harm(tolerance=0.02),
    labels=Labels(teaching=40, choose=40, verify=40), choice=Choice(max_clean_loss=0.01),
)  # fmt: skip
RETRAINED = dict.fromkeys(("retrain", "refit"), "it is not tried here")


@pytest.fixture(scope="module")
def played(first_model, tmp_path_factory):
    """The scenario, once; the loop, the first incident's story, and the site of every record."""
    scenario = load_scenario("worse_site")
    sites = {}
    with State(tmp_path_factory.mktemp("bias") / "state") as state:
        state.pipeline("digits-first").symlink_to(first_model)
        loop = InProcess(state, scenario, policy=POLICY, impossible=RETRAINED)
        note = loop.system.slices.note

        def listen(log, slices, labelled=()):
            sites.update(slices.get("site", {}))
            note(log, slices, labelled)

        loop.system.slices.note = listen
        outcome = loop.run()
        assert loop.rehearsal.broken(outcome) == []
        first = loop.ledger.messages(IncidentOpened)[0]
        yield loop, loop.ledger.story(first.incident), sites


def only(story, kind):
    return [message for message in story if isinstance(message, kind)]


def test_late_labels_open_an_incident_of_bias_that_names_the_slice(played):
    _, story, _ = played
    [opened] = only(story, IncidentOpened)
    assert (opened.kind, opened.finding.slice) == ("bias", "site=south")
    [harm] = only(story, HarmAssessed)
    assert harm.interval[1] < harm.clean_accuracy, "accuracy is told of the slice, not of all"


def test_a_person_teaches_in_the_slice_alone_and_mostly_measures_there(played):
    _, story, sites = played
    teaching, *audits = only(story, AskLabels)
    assert teaching.purpose == "teaching"
    assert len(teaching.items) == 40
    assert {sites[seq] for seq in teaching.items} == {"south"}
    for ask in audits:
        there = [sites[seq] == "south" for seq in ask.items]
        assert sum(there) > len(there) / 2
    assert [request.remedy for request in only(story, PrepareRemedy)] == ["reweight"]


def test_the_remedy_is_measured_in_the_slice_and_beside_it_and_kept_since_the_gap_closes(played):
    loop, story, _ = played
    for compared in only(story, RemediesCompared):
        assert compared.elsewhere.records > compared.records, "three of five records are of the other site"
    [measured] = only(story, RemediesMeasured)
    [_, reweight] = measured.remedies
    assert measured.slice == "site=south"
    assert reweight.gain > 0.3 and reweight.elsewhere > -0.02
    [verified] = only(story, RemedyVerified)
    assert verified.helped and verified.slice == "site=south"
    assert verified.gap_closed[0] > 0
    [closed] = only(story, IncidentClosed)
    assert closed.outcome == "verified"
    assert "the gap closes by" in closed.reason
    assert loop.ledger.messages(PipelineLive)[-1].pipeline == "digits-1-reweight"
