"""The whole system as a user starts it: a real Ray, a real inference server, real commands, and nothing left behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.ray

POLICY = """
[detection]
window = 600
[labels]  # so many that chance decides nothing
choose = 40
verify = 40
[remedies]
prepare = ["recalibrate"]
compare_records = 300
[verification]
records = 300
"""
SCENARIO = """
name = "short"
description = "A sudden fault, mended by the cheapest remedy, that goes away again."
rate = 300
[[segment]]
records = 300
[[segment]]
corruption = "impulse_noise"
until = "closed"
records = 60_000
[[segment]]
until = "closed"
records = 10_000
[must]
outcome = "verified"
detected_within = 200
min_gain = 0.1
"""
KEYS = {
    "scenario", "dataset", "corruption", "runtime", "detected_after", "questions", "labels_used", "remedies", "chosen", "reason", "state", "as_is",
    "after", "clean_before", "clean_after", "failed_requests", "phases",
}  # fmt: skip


def command(module, *arguments):
    return [sys.executable, "-m", module, *map(str, arguments)]


def run(module, *arguments, **options):
    return subprocess.run(command(module, *arguments), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, **options)


def listens(url):
    host, port = re.fullmatch(r"http://([\d.]+):(\d+)", url).groups()
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "policy.toml").write_text(POLICY)
    (tmp_path / "short.toml").write_text(SCENARIO)
    return tmp_path


def test_a_scenario_is_played_to_its_end_and_the_report_says_what_came_of_it(folder):
    report = folder / "report.json"
    done = run(
        "agents.cluster", "--once", "--scenario", folder / "short.toml", "--policy", folder / "policy.toml", "--state", folder / "state",
        "--report", report, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    outcome = json.loads(report.read_text())
    assert outcome.keys() >= KEYS
    assert (outcome["state"], outcome["chosen"], outcome["failed_requests"]) == ("verified", "recalibrate", 0)
    assert outcome["as_is"] + 0.1 < outcome["after"] <= 1
    assert outcome["clean_before"] - outcome["clean_after"] < 0.02
    assert outcome["remedies"][0].keys() >= {"name", "accuracy_drift", "interval", "accuracy_clean", "latency_added_ms", "seconds"}
    assert "The story of digits-1" in done.stdout
    assert not (folder / "state" / "front_door.json").exists()
    assert not (folder / "state" / "deployment.json").exists()


@pytest.fixture
def cluster(folder):
    """A cluster that stays up, and the lines that it has printed until it was ready."""
    process = subprocess.Popen(
        command("agents.cluster", "--runtime", "process", "--state", folder / "state", "--web-port", 0), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "to see and to answer" in line:
            break
    else:
        pytest.fail("the cluster ended before it was ready:\n" + "".join(lines))
    yield process, lines
    if process.poll() is None:
        process.kill()
    process.stdout.close()
    process.wait()


def test_a_cluster_that_stays_up_serves_consoles_and_traffic_refuses_a_second_one_and_stops_cleanly(cluster, folder):
    process, lines = cluster
    url = re.search(r"http://[\d.]+:\d+", "".join(lines))[0]

    status = run("agents.console", "--state", folder / "state", "--json", "status", timeout=60)
    assert json.loads(status.stdout)["pipeline"] == "digits-first", status.stderr

    link = re.search(r"(http://[\d.]+:\d+)/enter\?token=\S+", "".join(lines))
    page = link[1]
    with httpx.Client(base_url=page, follow_redirects=True) as browser:
        assert browser.get("/").status_code == 401
        assert "digits-first" in browser.post("/enter", data={"token": link[0].split("=")[1], "name": "ana"}).text

    second = run("agents.cluster", "--runtime", "process", "--state", folder / "state", timeout=60)
    assert second.returncode == 2
    assert f"in use by process {process.pid}" in second.stderr

    traffic = run("scenarios.replay", "clean", "--url", url, "--at-most", 200, "--rate", 0, timeout=120)
    assert traffic.returncode == 0, traffic.stdout + traffic.stderr

    children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) == 0
    assert not listens(url) and not listens(page)
    assert not (folder / "state" / "front_door.json").exists()
    assert [pid for pid in children if alive(pid)] == []


def alive(pid):
    """Whether a process still runs; one that has ended and waits for its parent does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
