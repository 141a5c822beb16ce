import pytest

from scenarios.people import NONE_OF_THESE, UNSURE, ScriptedPerson

DIGITS = tuple("0123456789")


def test_a_person_without_errors_answers_the_true_label():
    person = ScriptedPerson({1: 7, 2: 0}, DIGITS)
    assert [person.label(1), person.label(2)] == [7, 0]


def test_labels_may_come_from_a_function():
    assert ScriptedPerson({5: 3}.__getitem__, DIGITS).label(5) == 3


def test_an_image_of_no_class_is_none_of_these():
    person = ScriptedPerson({1: -1, 2: 10, 3: 4, 4: 5}, DIGITS, unknown=frozenset({4}))
    assert [person.label(seq) for seq in (1, 2, 3, 4)] == [NONE_OF_THESE, NONE_OF_THESE, NONE_OF_THESE, 5]


def test_about_an_image_that_nobody_labelled_a_person_is_unsure():
    assert ScriptedPerson({}, DIGITS).label(1) == UNSURE


def test_errors_come_at_their_rate_are_real_classes_and_stay_when_asked_again():
    person = ScriptedPerson(lambda _: 4, DIGITS, error_rate=0.2, seed=3)
    answers = [person.label(seq) for seq in range(3000)]
    wrong = [answer for answer in answers if answer != 4]
    assert 0.17 < len(wrong) / len(answers) < 0.23
    assert set(wrong) == set(range(10)) - {4}
    assert answers == [person.label(seq) for seq in range(3000)]


def test_another_seed_errs_about_other_images():
    first, second = (ScriptedPerson(lambda _: 4, DIGITS, error_rate=0.5, seed=seed) for seed in (0, 1))
    assert [first.label(seq) for seq in range(50)] != [second.label(seq) for seq in range(50)]


def test_an_error_rate_does_not_touch_foreign_images():
    assert ScriptedPerson({1: -1}, DIGITS, error_rate=1.0).label(1) == NONE_OF_THESE


@pytest.mark.parametrize(
    ("options", "expected", "answer"),
    [
        (["approve", "reject"], False, "approve"),
        (["yes", "no"], False, "yes"),
        (["approve", "reject", "expected"], False, "approve"),
        (["approve", "reject", "expected"], True, "expected"),
        (["wait", "stop"], True, "stop"),
    ],
)
def test_a_person_approves_unless_the_change_is_expected_or_there_is_nothing_to_approve(options, expected, answer):
    assert ScriptedPerson({}, DIGITS, expected=expected).approve(options, default="stop") == answer


def test_a_delay_is_only_told_and_never_waited():
    assert ScriptedPerson({1: 2}, DIGITS, delay=3600.0).label(1) == 2


@pytest.mark.parametrize("wrong", [{"error_rate": 1.5}, {"error_rate": -0.1}, {"delay": -1.0}])
def test_an_impossible_person_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ScriptedPerson({}, DIGITS, **wrong)
