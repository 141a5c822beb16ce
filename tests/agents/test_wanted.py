"""What the options of a cluster say, taken together: which deployments, each by which policy."""

import pytest

from agents.options import OptionError
from agents.policy import PolicyError
from agents.wanted import played_on, wanted

PETS = 'name = "{}"\n{}[model]\nonnx = "m.onnx"\ninput = [1, 8, 8]\n[data]\ntrain = "a.npz"\nheld_out = "b.npz"\n'


@pytest.fixture
def files(tmp_path):
    """Writes files; says where they are."""

    def write(**texts):
        for name, text in texts.items():
            (tmp_path / f"{name}.toml").write_text(text)
        return [tmp_path / f"{name}.toml" for name in texts]

    return write


def strict(window):
    return f"[detection]\nwindow = {window}\n"


def test_nothing_named_is_the_default_data_set():
    assert [(one.name, one.data) for one in wanted([], [], [], "digits")] == [("digits", "digits")]


def test_files_and_data_sets_are_supervised_side_by_side(files):
    [pets] = files(pets=PETS.format("pets", ""))
    assert [(one.name, one.dataset) for one in wanted([pets], ["mnist", "left=mnist"], [], "digits")] == [("pets", "pets"), ("mnist", "mnist"), ("left", "mnist")]


def test_a_deployments_own_policy_comes_before_the_one_for_all_and_one_by_name_before_both(files):
    a, b, _own, for_all, named = files(
        a=PETS.format("a", 'policy = "own.toml"\n'), b=PETS.format("b", 'policy = "own.toml"\n'), own=strict(700), for_all=strict(800), named=strict(900)
    )
    found = wanted([a, b], ["digits"], [str(for_all), f"b={named}"], "digits")
    assert {one.name: one.policy.detection.window for one in found} == {"a": 700, "b": 900, "digits": 800}


@pytest.mark.parametrize(
    ("datasets", "policies", "says"),
    [
        (["digits", "digits"], [], "two deployments are called 'digits'.*--dataset NAME=DATASET"),
        (["Left=digits"], [], "expected up to 35 small letters, digits and dashes"), (["mnist=digits"], [], "'mnist' is a data set itself"),
        (["digits", "left=digits"], ["rigth=a.toml"], "--policy rigth=a.toml: no such deployment. There are: digits, left"),
        (["digits", "left=digits"], ["lef=a.toml"], "no such deployment; did you mean 'left'"),
        (["digits"], ["a.toml", "b.toml"], "there is one for all already, a.toml; write --policy NAME=FILE for one of digits"),
        (["digits"], ["digits=a.toml", "digits=b.toml"], "digits has a policy already, a.toml"),
    ],
)  # fmt: skip
def test_options_that_contradict_each_other_are_refused_with_what_to_write(datasets, policies, says):
    with pytest.raises(OptionError, match=says):
        wanted([], datasets, policies, "digits")


def test_a_policy_that_is_not_there_is_refused_by_its_name(files):
    [pets] = files(pets=PETS.format("pets", 'policy = "lost.toml"\n'))
    with pytest.raises(PolicyError, match=r"lost\.toml: cannot be read"):
        wanted([pets], [], [], "digits")


def test_a_scenario_is_played_on_the_one_of_its_data_set():
    known = wanted([], ["digits", "mnist"], [], "digits")
    assert played_on(known, "mnist", "") == "mnist"
    with pytest.raises(OptionError, match="say --on digits or --on mnist"):
        played_on(known, "cifar10", "")
    with pytest.raises(OptionError, match="--on minst: no such deployment; did you mean 'mnist'"):
        played_on(known, "mnist", "minst")
