"""What docs/integrations.md says is so."""

import re
import time
from pathlib import Path

from agents.outward.hooks import EVENTS, from_toml
from agents.outward.signing import key_of, new_secret, sign

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "integrations.md").read_text()


def test_the_receiver_that_is_shown_takes_what_is_signed_and_nothing_else():
    names = {}
    [block] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    exec(block, names)
    secret = new_secret()
    headers = sign(key_of(secret), "m", time.time(), b"{}")
    assert names["genuine"](secret, headers, b"{}") and not names["genuine"](secret, headers, b"{ }") and not names["genuine"](new_secret(), headers, b"{}")
    assert not names["genuine"](secret, sign(key_of(secret), "m", time.time() - 400, b"{}"), b"{}")


def test_the_file_that_is_shown_can_be_used_and_every_event_is_told_of():
    [shown] = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert from_toml(shown, environment={"PAGER_SECRET": new_secret()})[0].name == "pager"
    table = PAGE[PAGE.index("| event | when |") : PAGE.index("The body is JSON")]
    assert set(re.findall(r"`([a-z ]+)`", table)) == set(EVENTS)


def test_every_metric_is_told_of(everything):
    table = PAGE[PAGE.index("| metric | what |") :]
    told = set(re.findall(r"`(scanflow_[a-z_]+)`", table))
    for base, rest in re.findall(r"`(scanflow_[a-z]+)_[a-z_]+`(.*?)\|", table):
        told |= {f"{base}_{name}" for name in re.findall(r"`\.\.\._([a-z_]+)`", rest)}
    names = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name, *_ in everything.samples()}
    assert told == names
