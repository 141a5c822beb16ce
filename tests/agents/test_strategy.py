"""The sections of a strategy: what is wrong in them is told with section, key and what is allowed; cron says the right minute."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.policy import Policy, PolicyError, from_toml
from agents.strategy.catalogue import ACTUATORS, EVENTS, READINGS, fields
from agents.strategy.cron import CronError, cron
from agents.strategy.settings import Actuator, Rule, Sensor
from agents.tracker import Tracker

SENSOR = '[sensors.pulse]\nevery_seconds = "10m"\nreads = ["records"]\n'


def utc(*when):
    return datetime(*when, tzinfo=UTC).timestamp()


def test_a_strategy_is_read_with_durations_as_people_write_them():
    policy = from_toml(
        SENSOR + '[rules.busy]\nwhen = "pulse.records > 5"\nuntil = "pulse.records < 3"\nfor_looks = 3\nthen = "notify"\n[actuators.deploy]\ncool_down = "1.5h"\n'
    )
    assert policy.sensors == {"pulse": Sensor(every_seconds=600.0, reads=("records",))}
    assert policy.rules == {"busy": Rule(when="pulse.records > 5", until="pulse.records < 3", for_looks=3, then=("notify",))}
    assert policy.actuators == {"deploy": Actuator(cool_down=5400.0)}


def test_an_empty_strategy_is_the_default():
    assert from_toml("[sensors]\n[rules]\n[actuators]\n") == Policy()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sensors.pulse]\nevery_second = 3\n", r"mine.toml: \[sensors.pulse\] has no key 'every_second'; did you mean 'every_seconds'\? Allowed: every_records"),
        ("[sensors]\npulse = 3\n", r"\[sensors\] pulse is a section; write \[sensors.pulse\]"),
        ('[sensors."a b"]\nevery_records = 3\n', r"\[sensors\] 'a b' is no name"),
        ('[sensors.pulse]\nreads = ["records"]\n', r"\[sensors.pulse\] says by nothing when to look; write one of every_records, every_seconds, cron, on"),
        ('[sensors.pulse]\nevery_records = 5\non = "HarmAssessed"\n', r"\[sensors.pulse\] says by every_records and on when to look"),
        ('[sensors.pulse]\nevery_seconds = "10 weeks"\n', r"\[sensors.pulse\] every_seconds: '10 weeks' is no duration; write seconds, or such as"),
        ('[sensors.pulse]\nevery_seconds = ["10m"]\n', r"\[sensors.pulse\] every_seconds = \['10m'\]; expected seconds, or a text such as"),
        ("[sensors.pulse]\nevery_records = -1\n", r"\[sensors.pulse\] every_records = -1; expected a number from 1 on"),
        ("[sensors.pulse]\nevery_seconds = nan\n", r"\[sensors.pulse\] every_seconds = nan; expected a number from 1 on"),
        ('[sensors.pulse]\nevery_records = "many"\n', r"\[sensors.pulse\] every_records = 'many'; expected a whole number"),
        ('[sensors.pulse]\ncron = "0 6 * *"\n', r"\[sensors.pulse\] cron: '0 6 \* \*' has 4 fields; expected five, minute, hour"),
        ('[sensors.pulse]\non = "HarmAssesed"\n', r"\[sensors.pulse\] on = 'HarmAssesed': no message on which a sensor can look; did you mean 'HarmAssessed'\?"),
        ('[sensors.pulse]\nevery_records = 5\nreads = ["record"]\n', r"\[sensors.pulse\] reads 'record'; did you mean 'records'\? Allowed: records, "),
        ("[rules.low]\nwhen = 'pulse.records > 3'\n", r"\[rules.low\] has no `then`: what is to be done. Allowed: open, audit, undo"),
        ("[rules.low]\nthen = 'open'\n", r"\[rules.low\] needs either `when`, a condition, or `each`"),
        ("[rules.low]\nwhen = 'plse.records > 3'\nthen = 'open'\n" + SENSOR, r"\[rules.low\] when asks for 'plse.records', and there is no sensor 'plse'; did you mean 'pulse'\?"),
        ("[rules.low]\nwhen = 'pulse.recrds > 3'\nthen = 'open'\n" + SENSOR, r"\[rules.low\] when asks for 'pulse.recrds', which the sensor 'pulse' does not read; did you mean 'records'\?"),
        ("[rules.low]\nwhen = 'pulse.unlike > 3'\nthen = 'open'\n" + SENSOR, r"'pulse' does not read; add it to the `reads` of \[sensors.pulse\]"),
        ("[rules.low]\nwhen = 'pulse.records >'\nthen = 'open'\n" + SENSOR, r"\[rules.low\] when: 'pulse.records >' cannot be read"),
        ("[rules.low]\nwhen = '1 > 0'\nthen = 'open'\n", r"\[rules.low\] when = '1 > 0' asks no sensor"),
        ("[rules.low]\nwhen = 'pulse.records > 3'\nuntil = 'x'\nthen = 'open'\n" + SENSOR, r"\[rules.low\] until: 'x': 'x' names no metric"),
        ("[rules.low]\neach = 'pulse'\nfor_looks = 2\nthen = 'open'\n" + SENSOR, r"\[rules.low\] acts at each look of 'pulse'; `until` and `for_looks` belong to"),
        ("[rules.low]\neach = 'puls'\nthen = 'open'\n" + SENSOR, r"\[rules.low\] each = 'puls': there is no such sensor; did you mean 'pulse'\?"),
        ("[rules.low]\neach = 'pulse'\nthen = 'opn'\n" + SENSOR, r"\[rules.low\] then names 'opn'; did you mean 'open'\?"),
        ("[rules.low]\neach = 'pulse'\nthen = 'deploy'\n" + SENSOR, r"\[rules.low\] then names 'deploy' \(that is what the agents do by themselves"),
        ("[rules.low]\neach = 'pulse'\nthen = []\n" + SENSOR, r"\[rules.low\] then is empty"),
        ("[actuators.deply]\ncool_down = 3\n", r"\[actuators\] names 'deply'; did you mean 'deploy'\?"),
        ("[actuators.deploy]\nper_day = 3\n", r"\[actuators.deploy\] takes cool_down and cool_down_records alone"),
        ("[actuators.open]\nper_incident = 3\n", r"\[actuators.open\] takes no per_incident: an incident opens once"),
    ],
)  # fmt: skip
def test_a_bad_strategy_is_refused_with_the_key_and_what_is_allowed(text, message):
    with pytest.raises(PolicyError, match=message):
        from_toml(text, "mine.toml")


ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "strategy.md").read_text()


def test_the_examples_of_the_page_on_strategy_can_be_used_and_it_names_every_word():
    examples = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert len(examples) == 5
    assert set(from_toml("\n".join(examples), base=ROOT).rules) == {"weekly", "low", "quiet", "again", "evaluate", "reminder"}
    assert [word for word in (*READINGS, *ACTUATORS, *EVENTS) if f"`{word}`" not in PAGE] == []


def test_the_tracker_hears_every_message_on_which_a_sensor_can_look():
    assert set(EVENTS.values()) <= set(Tracker.handles)


def test_every_word_of_a_strategy_says_what_it_means_and_messages_have_numbers_to_read():
    assert all((*READINGS.values(), *ACTUATORS.values()))
    assert fields("HarmAssessed") == ("harmful", "accuracy", "clean_accuracy", "estimated_accuracy", "last")


# --- cron ---


@pytest.mark.parametrize(
    ("text", "now", "due"),
    [
        ("0 6 * * 1", (2026, 11, 25, 12), (2026, 11, 30, 6)),  # a Wednesday, so the next Monday
        ("0 6 * * mon", (2026, 11, 30, 6), (2026, 12, 7, 6)),  # later than now, never now
        ("0 6 * * 1-5", (2026, 11, 27, 7), (2026, 11, 30, 6)),  # over the weekend
        ("*/15 * * * *", (2026, 1, 1, 0, 14, 59), (2026, 1, 1, 0, 15)),
        ("30 23 31 12 *", (2026, 12, 31, 23, 30), (2027, 12, 31, 23, 30)),
        ("0 0 29 2 *", (2026, 1, 1), (2028, 2, 29)),
        ("0 0 13 * fri", (2026, 11, 25), (2026, 11, 27)),  # either day is enough
        ("5,50 8-10/2 * jan *", (2026, 1, 1, 8, 50), (2026, 1, 1, 10, 5)),
        ("0 12 * * 7", (2026, 11, 25), (2026, 11, 29, 12)),  # Sunday is 0 and 7
    ],
)
def test_it_is_due_at_the_next_minute_that_the_five_fields_name(text, now, due):
    assert cron(text).after(utc(*now)) == utc(*due)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("60 * * * *", "'60' is no minute; expected 0 to 59"), ("* 24 * * *", "'24' is no hour"), ("* * 0 * *", "'0' is no day of the month"),
        ("* * * 13 *", "'13' is no month"), ("* * * * funday", "'funday' is no day of the week"), ("*/0 * * * *", r"'\*/0' is no step of the minute"),
        ("9-5 * * * *", "'9-5' of the minute runs backwards"), ("@daily", "has 1 fields"), ("0 0 30 2 *", "there is no such day"), ("٣ * * * *", "is no minute"),
    ],
)  # fmt: skip
def test_what_says_no_time_is_refused_with_the_field(text, why):
    with pytest.raises(CronError, match=why):
        cron(text)


@given(st.integers(0, 4_000_000_000), st.sampled_from(["*/7 3-21/4 * * *", "0 0 1,15 * 3", "59 23 * feb,dec 0-2", "17 * * * *"]))
def test_the_next_due_minute_is_the_first_of_all_later_ones_that_the_fields_allow(now, text):
    due = cron(text).after(now)
    assert due > now and due % 60 == 0
    assert cron(text).after(due - 1) == due
    moment = datetime.fromtimestamp(due, UTC)
    allowed = cron(text)
    assert moment.minute in allowed.minutes and moment.hour in allowed.hours and moment.month in allowed.months
    by_week = moment.isoweekday() % 7 in allowed.weekdays
    assert (moment.day in allowed.days or by_week) if allowed.either else (moment.day in allowed.days and by_week)
