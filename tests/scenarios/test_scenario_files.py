import pytest

from scenarios.corruptions import catalogue
from scenarios.scenario import ScenarioError, load_scenario, suite

GOOD = """\
name = "mine"
[[segment]]
records = 10
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("name", suite())
def test_every_scenario_of_the_suite_is_sound_says_what_it_is_and_is_named_as_its_file(name):
    scenario = load_scenario(name)
    assert scenario.name == name
    assert scenario.description.endswith(".")
    assert scenario.must.outcome or scenario.must.detected_within


def test_the_suite_has_each_corruption_suddenly_and_the_other_courses_of_events():
    names = set(suite())
    assert {f"sudden_{name}" for name in catalogue()} <= names
    assert {"default", "gradual", "recurring", "harmless", "expected", "unknown_class", "clean"} <= names


def test_the_default_scenario_is_on_digits_and_ends_clean():
    scenario = load_scenario("default")
    assert scenario.dataset == "digits"
    assert [segment.kind for segment in scenario.segment] == ["clean", "impulse_noise", "clean"]


def test_a_recurring_drift_goes_on_off_and_on():
    kinds = [segment.kind for segment in load_scenario("recurring").segment]
    assert kinds == ["clean", "brightness", "clean", "clean", "brightness", "clean"]


def test_a_file_may_leave_out_all_but_its_name_and_segments(written):
    scenario = load_scenario(written(GOOD))
    assert (scenario.dataset, scenario.seed, scenario.batch, scenario.rate) == ("digits", 0, 20, 0.0)
    assert scenario.person.kind == "scripted" and scenario.must.outcome is None


def test_a_gradual_share_rises_evenly_over_the_segment(written):
    segment = load_scenario(written(GOOD.replace("10", "11") + 'corruption = "fog"\nshare = [0.0, 1.0]\n')).segment[0]
    assert [segment.share_at(k) for k in (0, 5, 10)] == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name = ]", r"is not TOML: .*line 1"),
        ('name = "x"\n', r"top level: The key 'segment' is missing"),
        ('name = "x"\nsegment = []\n', r"line 2, key 'segment': Expected `array` of length >= 1"),
        ("[[segment]]\nrecords = 1\n", r"The key 'name' is missing"),
        (GOOD + "sevrity = 3\n", r"line 4, \[segment 1\], key 'sevrity': There is no key 'sevrity' here. Did you mean 'severity'\? Allowed: records"),
        ("rat = 3\n" + GOOD, r"line 1, key 'rat': .*Did you mean 'rate'\?"),
        (GOOD + '[[segment]]\ncorruption = "fog"\n', r"line 4, \[segment 2\]: The key 'records' is missing"),
        (GOOD + '[[segment]]\nrecords = 5\ncorruption = "frog"\n', r"line 6, \[segment 2\], key 'corruption': .*Did you mean 'fog'\? Allowed: none, shot_noise"),
        (GOOD.replace("10", "0"), r"line 3, \[segment 1\], key 'records': Expected `int` >= 1"),
        (GOOD.replace("10", '"many"'), r"line 3, \[segment 1\], key 'records': Expected `int`, got `str`"),
        (GOOD + 'corruption = "fog"\nseverity = 6\n', r"line 5, \[segment 1\], key 'severity': Expected `int` <= 5"),
        (GOOD + "severity = 2\n", r"key 'severity': A severity needs a corruption"),
        (GOOD + "share = 1.5\n", r"line 4, \[segment 1\], key 'share': Expected `float` <= 1"),
        (GOOD + "share = [0.0, 0.5, 1.0]\n", r"key 'share': Expected `array` of length <= 2"),
        (GOOD + "share = [0.0, 7.0]\n", r"key 'share': Expected `float` <= 1"),
        (GOOD + 'until = "bored"\n', r"line 4, \[segment 1\], key 'until': Invalid enum value 'bored'.* Allowed: closed, alarm"),
        (GOOD + 'unknown_class = "hats"\n', r"line 4, \[segment 1\], key 'unknown_class': There are no images 'hats'. Allowed: letters, fashion-mnist"),
        (GOOD + 'unknown_class = "letters"\ncorruption = "fog"\n', r"either a corruption or an unknown_class"),
        ('dataset = "fashion-mnist"\n' + GOOD + 'unknown_class = "fashion-mnist"\n', r"fashion-mnist is what the classifier knows"),
        ('dataset = "minst"\n' + GOOD, r"line 1, key 'dataset': .*Did you mean 'mnist'\?"),
        ("batch = 0\n" + GOOD, r"line 1, key 'batch': Expected `int` >= 1"),
        ("rate = -1\n" + GOOD, r"line 1, key 'rate': Expected `float` >= 0"),
        (GOOD + '[person]\nkind = "real"\n', r"line 5, \[person\], key 'kind': Invalid enum value 'real'.* Allowed: scripted"),
        (GOOD + "[person]\nerror_rate = 2\n", r"line 5, \[person\], key 'error_rate': Expected `float` <= 1"),
        (GOOD + '[must]\noutcome = "mended"\n', r"line 5, \[must\], key 'outcome': Invalid enum value 'mended'.* Allowed: verified, harmless, expected, unknown_class, none"),
        (GOOD + "[must]\ndetect_within = 3\n", r"line 5, \[must\], key 'detect_within': .*Did you mean 'detected_within'\?"),
        ("person = 3\n" + GOOD, r"line 1, key 'person': Expected `object`, got `int`"),
    ],
)
def test_a_bad_file_is_answered_with_its_line_the_key_and_what_is_allowed(written, text, told):
    path = written(text)
    with pytest.raises(ScenarioError, match=told) as caught:
        load_scenario(path)
    assert str(path) in str(caught.value)


def test_a_misspelt_name_is_answered_with_the_nearest_one_and_the_suite():
    with pytest.raises(ScenarioError, match=r"no scenario 'sudden_frog'.*Did you mean sudden_fog\? The suite has: clean, default"):
        load_scenario("sudden_frog")


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match="no file of that name can be read"):
        load_scenario(path)


SITES = "attributes = { site = { north = 0.5, south = 0.5 } }\n"


def test_a_segment_may_change_one_slice_of_the_traffic_alone(written):
    text = 'name = "mine"\n' + SITES + '[[segment]]\nrecords = 10\ncorruption = "fog"\nwhere = { site = "south" }\n'
    assert load_scenario(written(text)).segment[0].where == {"site": "south"}


@pytest.mark.parametrize(("old", "new", "told"), [
    ('"south" }\n', '"suoth" }\n', "No record has site = 'suoth'.*Did you mean 'south'"), ("south = 0.5", "south = 0.4", "sum to 0.9; expected 1"),
    ("where = { site", "where = { town", "No record has town = 'south'.*Allowed: site"),
])  # fmt: skip
def test_slices_that_no_record_can_have_are_refused(written, old, new, told):
    text = 'name = "mine"\n' + SITES + '[[segment]]\nrecords = 10\ncorruption = "fog"\nwhere = { site = "south" }\n'
    with pytest.raises(ScenarioError, match=told):
        load_scenario(written(text.replace(old, new)))
