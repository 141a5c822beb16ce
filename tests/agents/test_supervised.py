"""A deployment that has left its target is brought back, and people hear of what stands in the way once."""

from agents.supervised import keep_up


def watched(*outcomes):
    """What is said while `reconcile` meets these: an error, or None where all is well."""
    left, said = list(outcomes), []

    def reconcile():
        error = left.pop(0)
        if error is not None:
            raise error

    keep_up(reconcile, lambda: bool(left), said.append, "digits")
    return said


def test_where_all_is_well_nothing_is_said():
    assert watched(None, None, None) == []


def test_a_trouble_that_stays_is_said_once_and_its_end_too():
    gone = RuntimeError("the container engine does not answer")
    begun, ended = watched(gone, gone, gone, None, None)
    assert begun == "the inference service of digits is not as it should be: the container engine does not answer; trying again every 2 s"
    assert ended == "the inference service of digits is as it should be again"


def test_another_trouble_is_said_too_and_one_that_comes_back_after_its_end():
    one, other = RuntimeError("no engine"), KeyError()
    assert [text.split(": ")[-1].split(";")[0] for text in watched(one, other, other, None, one)] == [
        "no engine", "KeyError", "the inference service of digits is as it should be again", "no engine",
    ]
