import json
import re

import msgspec
import pytest
from typer.testing import CliRunner

from agents.homes import home
from agents.ledger import Ledger
from agents.report import app, kept_in, read
from agents.state import State
from agents.web.png import size_of
from tests.agents.helpers import live

RUN = CliRunner()


@pytest.fixture
def report(played, tmp_path, monkeypatch):
    """Runs the program in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: RUN.invoke(app, ["--state", str(played[0]), *words])


def test_one_file_holds_all_and_asks_nothing_of_the_network(report, tmp_path):
    assert report("--incident", "digits-1").exit_code == 0
    page = (tmp_path / "digits-1.html").read_text()
    assert "about 388" in page  # of 809 records, 0.993 - 0.513 of each
    assert "the classifier stays as it was certified" in page and "digits-1-filter is live from record 1710 on" in page
    assert page.count("data:image/png;base64,") > 8  # plots, and the images that were asked about
    assert not re.findall(r'(?:src|href)="(?!data:)|url\(|@import|<script', page)


def test_plots_are_png_files(report, tmp_path):
    assert report("--incident", "digits-1", "--plots", "plots").exit_code == 0
    sizes = {path.name: size_of(path.read_bytes()) for path in (tmp_path / "plots").iterdir()}
    assert set(sizes) == {"evidence.png", "digits-1-accuracy.png", "digits-1-remedies.png", "people.png"}
    assert all(width == 1152 and height > 100 for width, height in sizes.values())


def test_json_is_all_that_is_printed_and_no_file_is_written(report, tmp_path):
    told = report("--json", "--since", "2020-01-01", "--until", "2100-01-01")
    assert json.loads(told.stdout)["incidents"][0]["cost"]["lost"]["records"] == 809
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("words", "says"), [
    (("--incident", "digits-2"), "did you mean 'digits-1'"), (("--last", "soon"), "write a number and m, h, d or w"), (("--since", "never"), "is no time"),
    (("--since", "2020-01-02", "--until", "2020-01-01"), "is not before"), (("--since", "2020-01-01", "--until", "2020-02-01"), "what is on record is from"),
    (("--incident", "digits-1", "--last", "7d"), "leave --since"), (("--last", "7d", "--until", "14:05"), "not both"),
    (("--out", "/proc/nowhere/report.html"), "cannot be written"), (("--state", "nowhere"), "holds no ledger"),
])  # fmt: skip
def test_what_cannot_be_reported_is_one_sentence(report, words, says):
    told = report(*words)
    assert told.exit_code == 2 and says in told.stderr and told.stderr.count("\n") == 1


def test_reading_leaves_nothing_behind(report, played, tmp_path):
    before = sorted(path for path in played[0].rglob("*") if ".db" not in path.name)
    report("--incident", "digits-1")
    assert kept_in(played[0])("digits-2", [1]) == {}
    assert sorted(path for path in played[0].rglob("*") if ".db" not in path.name) == before


def test_a_report_reads_the_ledgers_of_all_deployments_of_a_folder_in_the_order_of_time(tmp_path):
    with State(tmp_path) as state:
        for name, at in (("digits", 2.0), ("mnist", 1.0)):
            ledger = Ledger.in_folder(home(state, name, alone=False).folder, clock=lambda: at)  # noqa: B023 - called at once
            ledger.append([msgspec.structs.replace(live(f"{name}-first"), deployment=name)])
            ledger.close()
    assert [message.deployment for message in read(tmp_path)] == ["mnist", "digits"]
