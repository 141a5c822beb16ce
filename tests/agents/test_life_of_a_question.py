"""A question waits: people are reminded, others are asked besides, and what was said is amended until it is used."""

import pytest

from agents.audit import PairedAudit, SlicedAudit
from agents.board import Board
from agents.desk import Desk
from agents.hosts.host import LocalHost
from agents.ledger import Ledger
from agents.messages import Draw, Elsewhere, KeepTime, Label, QuestionEscalated, QuestionReminded, RemediesCompared, TimeCame
from agents.policy import PolicyError, Questions, from_toml
from agents.story import line
from agents.switchboard import Switchboard
from tests.agents.helpers import CLASSES, DEPLOYMENT, INCIDENT, ask_choice, ask_labels, kinds, offer

RULES = Questions(deadline=60.0, remind_after=10.0, escalate_after=30.0, people=("ana", "ben"), escalate_to=("chief",))


class Bench:
    """A desk behind a switchboard, on a clock that stands still until it is set."""

    def __init__(self, rules=RULES, ledger=None, now=1000.0):
        self.now = now
        self.ledger = ledger or Ledger(clock=lambda: self.now)
        self.board = Board(DEPLOYMENT)
        self.switchboard = Switchboard(LocalHost({"desk": lambda: Desk(DEPLOYMENT, rules)}), {"desk": Desk}, self.ledger, {}, clock=lambda: self.now)
        self.switchboard.listen(self.board.listen)
        self.switchboard.start()

    def post(self, *messages):
        for message in messages:
            self.switchboard.post(message)
        self.switchboard.run_until_idle()
        return self

    def at(self, now):
        self.now = now
        self.switchboard.tick()
        self.switchboard.run_until_idle()
        return self

    def told(self):
        return [message for message in self.ledger.messages() if isinstance(message, QuestionReminded | QuestionEscalated)]


def test_people_are_reminded_and_then_others_are_asked_besides():
    bench = Bench().post(ask_labels(), offer("q", "one", 1))
    assert bench.at(1009).told() == []
    [reminded] = bench.at(1010).told()
    assert (type(reminded), reminded.people, reminded.missing, reminded.incident) == (QuestionReminded, ("ana", "ben"), 1, INCIDENT)
    [_, escalated] = bench.at(1030).told()
    assert (type(escalated), escalated.people) == (QuestionEscalated, ("chief",))


def test_the_board_shows_who_is_waited_for_and_since_when():
    bench = Bench().post(ask_labels()).at(1010).at(1030)
    [view] = bench.board.questions()
    assert (view.waits_for, view.reminded) == (("ana", "ben", "chief"), 1030)


def test_a_choice_waits_for_one_answer():
    [reminded] = Bench().post(ask_choice()).at(1010).told()
    assert reminded.missing == 1


def test_nobody_is_reminded_of_a_question_that_is_closed():
    bench = Bench().post(ask_labels(), offer("q", "one", 1), offer("q", "one", 2))
    assert bench.at(1031).told() == [] and bench.ledger.messages(TimeCame) == []


def test_no_rule_no_reminder():
    bench = Bench(Questions()).post(ask_labels()).at(1059)
    assert bench.told() == [] and bench.ledger.messages(KeepTime) == []


def test_a_reminder_that_would_come_after_the_deadline_is_not_waited_for():
    assert Bench(Questions(deadline=900.0, remind_after=100.0)).post(ask_labels(deadline=60.0)).ledger.messages(KeepTime) == []


@pytest.mark.parametrize("down", [1005, 1015, 1035])
def test_a_restart_neither_forgets_nor_repeats_a_reminder(down):
    ledger = Bench().post(ask_labels()).at(down).ledger
    again = Bench(ledger=ledger, now=1036.0)
    assert [type(one) for one in again.at(1036).told()] == [QuestionReminded, QuestionEscalated]
    assert len(again.at(1040).told()) == 2


def test_a_restart_without_the_rule_reminds_nobody():
    ledger = Bench().post(ask_labels()).ledger
    again = Bench(Questions(), ledger=ledger)
    assert again.at(1036).told() == []


def test_the_story_tells_who_was_reminded_and_who_was_asked_besides():
    assert line(QuestionReminded(id="r", question="q", people=("ana",), missing=1)) == "question q still waits for 1 answer of ana"
    assert line(QuestionReminded(id="r", question="q", people=(), missing=2)) == "question q still waits for 2 answers"
    assert "now put to chief, too: it waits for 3 answers" in line(QuestionEscalated(id="e", question="q", people=("chief",), missing=3))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("remind_after = 900", "remind_after = 900.0; expected less than `deadline`"),
        ("escalate_after = 60", "escalate_after is set and escalate_to is not; write escalate_to = "),
        ('escalate_to = ["chief"]', "escalate_to is set and escalate_after is not"),
        ("repeat = 1.5", "repeat = 1.5"),
    ],
)
def test_a_policy_that_reminds_nobody_or_too_late_is_refused(text, says):
    with pytest.raises(PolicyError) as error:
        from_toml(f"[questions]\n{text}\n", "mine.toml")
    assert says in str(error.value)


def desk(**more):
    found = Desk(DEPLOYMENT)
    assert found.receive(ask_labels(items=(1, 2, 3), **more)) == []
    return found


def refusal(said):
    [refused] = said
    assert kinds([refused]) == ["AnswerRefused"]
    return refused.reason


def test_who_asked_is_told_what_an_answer_was_and_is():
    found = desk()
    found.receive(offer("q", "one", 1))
    [amended] = found.receive(offer("q", "two", 1, amend=True))
    assert kinds([amended]) == ["LabelAmended"] and amended.to == "checker"
    assert (amended.before, amended.label) == (Label(1, 1, "ann"), Label(1, 2, "ann"))


def test_an_answer_may_be_amended_into_none_and_back():
    found = desk()
    found.receive(offer("q", "one", 1))
    assert found.receive(offer("q", "skip", 1, amend=True))[0].label.label is None
    assert found.receive(offer("q", "one", 1, amend=True))[0].label.label == 1


@pytest.mark.parametrize(
    ("amendment", "says"),
    [
        (offer("q", "two", 1, by="bob", amend=True), "is ann's, who alone can amend it"), (offer("q", "one", 1, amend=True), "is one already"),
        (offer("q", "two", 2, amend=True), "has no answer yet that could be amended; just answer it"), (offer("q", "seven", 1, amend=True), "neither a class"),
    ],
)  # fmt: skip
def test_what_cannot_be_amended_is_refused_with_the_reason(amendment, says):
    found = desk()
    found.receive(offer("q", "one", 1))
    assert says in refusal(found.receive(amendment))


def test_nothing_is_amended_after_the_question_has_closed():
    found = desk()
    for seq in (1, 2, 3):
        found.receive(offer("q", "one", seq))
    assert "have been used, so none can be amended" in refusal(found.receive(offer("q", "two", 1, amend=True)))


def draws(said, *seqs):
    return tuple(Draw(seq, (place,), 0.5, "differ", said) for place, seq in enumerate(seqs))


def plain_audit():
    return PairedAudit("old", ["new"], draws({"old": 1, "new": 2}, *range(8)), {"differ": 0.5}, 0.9)


def sliced_audit():
    said = {"old": 1, "new": 2}
    rest = Elsewhere(records=200, draws=draws(said, 6, 7), share={"differ": 0.5}, confidence={})
    compared = RemediesCompared(
        id="c", records=400, share={"differ": 0.5}, draws=draws(said, *range(6)), confidence={}, seconds_per_image={}, classes=CLASSES, elsewhere=rest,
    )
    return SlicedAudit("old", ["new"], compared, 0.9)


@pytest.mark.parametrize("make", [plain_audit, sliced_audit])
@pytest.mark.parametrize("wrong", [None, 1, -1])
def test_after_an_amendment_an_audit_knows_what_it_would_know_had_it_been_said_at_once(make, wrong):
    amended, at_once = make(), make()
    for seq in range(8):
        amended.update(Label(seq, wrong if seq in (1, 7) else 2))
        at_once.update(Label(seq, 2))
    for seq in (7, 1):
        amended.amend(Label(seq, 2))
    assert amended.gain_interval("new") == at_once.gain_interval("new") and amended.log_evidence("new") == at_once.log_evidence("new")
    assert (amended.gain("new"), amended.labels, amended.elsewhere("new")) == (at_once.gain("new"), at_once.labels, at_once.elsewhere("new"))


def test_what_was_never_said_is_not_amended():
    audit = plain_audit()
    audit.amend(Label(3, 2))
    assert audit.labels == 0


def test_the_same_person_asked_again_is_compared_with_the_first_answer():
    found = desk(repeats=(1,))
    found.receive(offer("q", "one", 1))
    [opinion] = found.receive(offer("q", "two", 1, number=1))
    assert kinds([opinion]) == ["SecondOpinion"] and not opinion.agrees
    assert "has an answer already" in refusal(found.receive(offer("q", "two", 1, number=2))), "once"


def test_agreement_of_two_people_and_of_one_with_herself_are_told_apart():
    bench = Bench(Questions()).post(ask_labels(items=(1, 2, 3), repeats=(2,)))
    bench.post(offer("q", "one", 1), offer("q", "one", 2), offer("q", "one", 1, by="bob"), offer("q", "two", 2, number=1))
    status = bench.board.status()
    assert (status.compared, status.agreed, status.again.compared, status.again.agreed) == (1, 1, 1, 0)
    assert "ann said something else of record 2 when asked again" in [text for _, _, text in bench.board.events(0)]


def test_where_two_people_disagree_much_the_story_says_so_once():
    found = Desk(DEPLOYMENT)
    found.receive(ask_labels(items=tuple(range(1, 12))))
    said = [message for seq in range(1, 11) for by, answer in (("ann", "one"), ("bob", "two")) for message in found.receive(offer("q", answer, seq, by=by))]
    [note] = [one for one in said if kinds([one]) == ["NoteMade"]]
    assert note.incident == INCIDENT and note.text.startswith("ann and bob agree on only 0 of 5 images")


def test_two_who_differ_now_and_then_are_not_told_of():
    found = Desk(DEPLOYMENT)
    found.receive(ask_labels(items=tuple(range(1, 12))))
    said = [
        message for seq in range(1, 11) for by, answer in (("ann", "one"), ("bob", "two" if seq == 3 else "one"))
        for message in found.receive(offer("q", answer, seq, by=by))
    ]
    assert "NoteMade" not in kinds(said)


def seconds(*offers):
    found = desk()
    return [message.seconds for one in offers for message in found.receive(one) if kinds([message]) == ["LabelGiven"]]


def test_a_label_takes_the_time_since_the_same_persons_answer_before():
    assert seconds(offer("q", "one", 1, time=100.0), offer("q", "one", 2, time=104.5)) == [0.0, 4.5]


@pytest.mark.parametrize(("later", "why"), [(100.01, "handed in together"), (900.0, "was somewhere else")])
def test_what_says_nothing_about_the_time_that_a_label_takes_is_not_counted(later, why):
    assert seconds(offer("q", "one", 1, time=100.0), offer("q", "one", 2, time=later)) == [0.0, 0.0], why


def test_a_channel_that_knows_how_long_it_took_is_believed():
    assert seconds(offer("q", "one", 1, seconds=7.0), offer("q", "one", 2, seconds=0.0)) == [7.0, 0.0]


def test_the_status_has_the_median_of_each_person_and_channel():
    bench = Bench(Questions()).post(ask_labels(items=(1, 2, 3, 4)))
    bench.post(*(offer("q", "one", seq, seconds=taken) for seq, taken in ((1, 2.0), (2, 3.0), (3, 50.0))))
    [pace] = bench.board.status().paces
    assert (pace.channel, pace.by, pace.labels, pace.seconds) == ("console", "ann", 3, 3.0)


def test_a_question_that_is_open_is_restored_with_what_was_amended_and_compared():
    bench = Bench().post(ask_labels(items=(1, 2, 3)), offer("q", "one", 1), offer("q", "two", 1, by="bob"), offer("q", "zero", 1, amend=True))
    again = Bench(ledger=bench.ledger).post(offer("q", "one", 1, by="bob", number=1), offer("q", "one", 1, amend=True, number=2))
    assert kinds(again.ledger.messages())[-3:] == ["AnswerRefused", "AnswerOffered", "LabelAmended"]
    assert again.ledger.messages()[-1].before.label == 0
