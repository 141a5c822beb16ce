"""The policy file: what is wrong in it is told with file, key and what is allowed."""

import pytest

from agents.policy import Policy, PolicyError, from_toml, load_policy


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
        ('[labels]\nharm = "many"\n', r"mine.toml: Expected `int`, got `str` - at `\$.labels.harm`"),
        ('[approval]\nask = "sometimes"\n', r"mine.toml: Invalid enum value 'sometimes' - at `\$.approval.ask`"),
        ("[labels]\nteaching = -1\n", "mine.toml: labels must not be negative"),
        ("[labels]\nverify = 0\n", "mine.toml: labels.verify must be at least 1"),
        ("[detection]\nrun_length = 5\n", "mine.toml: detection.run_length must be at least 100 records"),
        ("[detection]\nwindow = 100\n", "mine.toml: detection.window must not be below detection.least"),
        ("[detection]\nleast = 10\n", "not below 20"),
        ("[harm]\ntolerance = 1.5\n", r"harm.tolerance must lie in \[0, 1\]"),
        ("[choice]\nmax_clean_loss = -0.1\n", r"choice.max_clean_loss must lie in \[0, 1\]"),
        ("[verification]\nlevel = 1.0\n", r"verification.level must lie in \(0.5, 1\)"),
        ("[remedies]\nprepare = []\n", "remedies.prepare must name at least one remedy"),
    ],
)
def test_a_bad_file_is_refused_with_the_key_and_what_is_allowed(text, message):
    with pytest.raises(PolicyError, match=message):
        from_toml(text, "mine.toml")


def test_a_file_that_is_not_there_is_named_with_what_to_do(tmp_path):
    with pytest.raises(PolicyError, match=r"nowhere\.toml: cannot be read .*--policy"):
        load_policy(tmp_path / "nowhere.toml")
