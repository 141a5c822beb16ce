"""The policy file: what is wrong in it is told with file, key and what is allowed."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import msgspec
import pytest

from agents.policy import BOUNDS, Policy, PolicyError, from_toml, load_policy
from models import plugins
from models.remedies import catalogue


def test_without_a_file_the_defaults_hold():
    assert load_policy(None) == Policy()
    assert from_toml("") == Policy()


def test_a_file_changes_what_it_names_and_leaves_the_rest(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[approval]\nask = "never"\n[remedies]\nprepare = ["filter"]\n')
    policy = load_policy(path)
    assert (policy.approval.ask, policy.remedies.prepare) == ("never", ("filter",))
    assert policy.labels == Policy().labels


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[labels\n", "mine.toml: not valid TOML"),
        ("[label]\n", r"mine.toml: no section \[label\]; did you mean 'labels'\? Allowed: detection, labels"),
        ("labels = 3\n", r"mine.toml: labels is a section; write \[labels\]"),
        ("[labels]\nharms = 3\n", r"mine.toml: \[labels\] has no key 'harms'; did you mean 'harm'\? Allowed: harm, teaching, choose, verify"),
        ("[labels]\nxyz = 3\n", r"mine.toml: \[labels\] has no key 'xyz'. Allowed: harm"),
        ('[labels]\nharm = "many"\n', r"mine.toml: \[labels\] harm = 'many'; expected a whole number$"),
        ('[detection]\nrun_length = "many"\n', r"mine.toml: \[detection\] run_length = 'many'; expected a number$"),
        ('[approval]\nask = "alwys"\n', r"mine.toml: \[approval\] ask = 'alwys'; did you mean 'always'\? Allowed: always, new weights, never$"),
        ("[approval]\nask = 3\n", r"mine.toml: \[approval\] ask = 3. Allowed: always, new weights, never$"),
        ('[remedies]\nprepare = "filter"\n', r"mine.toml: \[remedies\] prepare = 'filter'; expected a list of names, such as "),
        ("[remedies]\nprepare = [1]\n", r"mine.toml: \[remedies\] prepare = \[1\]; expected a list of names, such as "),
        ("[labels]\nharm = -6\n", r"mine.toml: \[labels\] harm = -6; expected a number from 0 on$"),
        ("[labels]\nverify = 0\n", r"mine.toml: \[labels\] verify = 0; expected a number from 1 on: a remedy that nobody checks"),
        ("[detection]\nrun_length = 5\n", r"mine.toml: \[detection\] run_length = 5.0; expected a number from 100 on \(records\)"),
        ("[detection]\nrun_length = nan\n", r"mine.toml: \[detection\] run_length = nan; expected a number"),
        ("[detection]\nwindow = 100\n", r"mine.toml: \[detection\] window = 100; expected at least as many records as `least`, which is 200"),
        ("[detection]\nblock = 0\n", r"mine.toml: \[detection\] block = 0; expected a number from 1 on"),
        ("[detection]\nleast = 10\n", r"mine.toml: \[detection\] least = 10; expected a number from 20 on"),
        ("[harm]\ntolerance = 1.5\n", r"mine.toml: \[harm\] tolerance = 1.5; expected a number from 0 to 1"),
        ("[choice]\nmax_clean_loss = -0.1\n", r"mine.toml: \[choice\] max_clean_loss = -0.1; expected a number from 0 to 1"),
        ("[verification]\nlevel = 1.0\n", r"mine.toml: \[verification\] level = 1.0; expected a number between 0.5 and 1"),
        ("[approval]\ndeadline = -1\n", r"mine.toml: \[approval\] deadline = -1.0; expected a number from 0 on \(seconds\)"),
        ("[remedies]\nprepare = []\n", r"mine.toml: \[remedies\] prepare is empty; name at least one remedy. Allowed: recalibrate, "),
        (
            '[remedies]\nprepare = ["filter", "retrian"]\n',
            r"mine.toml: \[remedies\] prepare names 'retrian'; did you mean 'retrain'\? Allowed: recalibrate, transfer, simulate, filter_pairs, filter, fine_tune, reweight, harden, retrain, refit$",
        ),
        ('[remedies]\nprepare = ["nothing"]\n', r"mine.toml: \[remedies\] prepare names 'nothing'"),  # it is always compared with
        ('[remedies]\nprepare = ["filter", "filter"]\n', r"mine.toml: \[remedies\] prepare names 'filter' more than once"),
    ],
)
def test_a_bad_file_is_refused_with_the_key_and_what_is_allowed(text, message):
    with pytest.raises(PolicyError, match=message):
        from_toml(text, "mine.toml")


def test_a_file_that_is_not_there_is_named_with_what_to_do(tmp_path):
    with pytest.raises(PolicyError, match=r"nowhere\.toml: cannot be read .*--policy"):
        load_policy(tmp_path / "nowhere.toml")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(PolicyError, match=r"mine\.toml: cannot be read \(it is not text"):
        load_policy(tmp_path / "mine.toml")


def test_every_number_has_bounds_so_that_none_is_taken_unseen():
    looked_at = {"detection.window", "remedies.level", "verification.level"} | {f"{section}.{key}" for section in BOUNDS for key in BOUNDS[section]}
    numbers = {
        f"{section}.{key}" for section, values in msgspec.to_builtins(Policy()).items() for key, value in values.items() if isinstance(value, int | float)
    }
    assert looked_at == numbers


def test_a_remedy_that_another_package_registers_may_be_prepared_and_is_not_loaded_for_that(monkeypatch):
    other = EntryPoint("heal", "no_such_package:prepare", catalogue.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [other])
    assert from_toml('[remedies]\nprepare = ["heal"]\n').remedies.prepare == ("heal",)


def test_two_remedies_of_one_name_are_refused_when_the_policy_is_read(monkeypatch):
    monkeypatch.setattr(plugins, "entry_points", lambda group: [EntryPoint("filter", "other:prepare", group)])
    with pytest.raises(PolicyError, match="other:prepare registers a remedy 'filter', a name in use"):
        from_toml('[remedies]\nprepare = ["filter"]\n')


def test_reading_a_policy_does_not_import_pytorch():
    program = "import sys; from agents.policy import from_toml; from_toml('[remedies]\\nprepare = [\"filter\"]'); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"


def test_the_names_of_the_catalogue_are_those_of_its_remedies():
    assert tuple(catalogue.remedies()) == catalogue.names()
