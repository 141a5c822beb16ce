"""The Python in README.md and docs/ runs as printed, and links lead somewhere."""

import doctest
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from agents.policy import Policy, from_toml

ROOT = Path(__file__).resolve().parent.parent
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "CONTRIBUTING.md") if page.exists()]


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_python_blocks_run_in_order_with_the_output_that_is_shown(page):
    names = {"__name__": "documentation"}
    runner = doctest.DebugRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    for number, block in enumerate(blocks(page), 1):
        title = f"{page.name}, block {number}"
        if block.startswith(">>>"):
            tests = [doctest.DocTestParser().get_doctest(block, {}, title, str(page), 0)]
        else:
            before = dict(names)
            exec(compile(block, title, "exec"), names)
            new = [thing for name, thing in names.items() if before.get(name) is not thing and getattr(thing, "__module__", "") == "documentation"]
            tests = [test for thing in new for test in doctest.DocTestFinder().find(thing, module=False, globs={})]
        for test in tests:
            test.globs = names
            runner.run(test, clear_globs=False)
    for name, thing in names.items():
        if name.startswith("test_"):
            thing()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_to_files(page):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_page_on_policy_shows_every_key_with_its_default():
    [shown] = re.findall(r"^```toml\n(.*?)^```$", (ROOT / "docs" / "policy.md").read_text(), re.DOTALL | re.MULTILINE)
    assert from_toml(shown) == Policy()
    keys = {name: set(values) for name, values in msgspec.to_builtins(Policy()).items()}
    assert {name: set(values) for name, values in tomllib.loads(shown).items()} == keys
