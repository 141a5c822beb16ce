"""How quick is the web page, and what does it cost the agents?

    python -m benchmarks.page               # some five minutes on two cores; needs Chromium and its driver
    python -m benchmarks.page --quick       # fewer rounds

Four things, each against what was set out before: from the alarm's messages to the question on an open page (the analysis between, which
waits for records, is left out); from a key to the next image, drawn, with its clean neighbours and a filter's preview beside it; the drift
check with 100 watchers against none, in alternating rounds at the pace of the heartbeat, the watchers in a process of their own; and the
load of a page with 1,000 open questions on a ledger of 100,000 messages.
"""

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from agents.board import Board
from agents.doors.evidence import Evidence
from agents.in_process import InProcess
from agents.ledger import Ledger
from agents.messages import HEARTBEAT, AskLabels, EvidenceSaved, IncidentOpened, Message, NoteMade, PipelineLive
from agents.reception import Reception
from agents.state import State
from agents.web.serve import WebPage
from scenarios.datasets import load, to_float
from scenarios.replay import load_scenario
from tests.web.chromium import browser_error, chromium
from tests.web.furnished import Furnished
from workflows.serving.service import Service

RESULTS = Path(__file__).parent / "results"
WATCHERS, PER_BEAT = 100, 200
QUESTIONS, MESSAGES = 1000, 100_000
TARGETS = {"question": 0.5, "key": 0.1, "ratio": 1.05, "load": 1.0}

# When the words stand on the page, in milliseconds of the machine's clock.
WAIT_FOR = """
    window.seen = 0;
    const look = () => {
        if (!window.seen && document.body.innerText.includes(arguments[0])) window.seen = performance.timeOrigin + performance.now();
    };
    new MutationObserver(look).observe(document.body, {childList: true, subtree: true, characterData: true});
    look();
"""
# From a key to the next image, drawn: milliseconds.
PRESS = """
    const [key, done] = arguments, before = document.querySelector("#seat img.big").id, begun = performance.now();
    document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
    const look = () => {
        const image = document.querySelector("#seat img.big");
        if (!image) return done(-1);
        if (image.id !== before && image.complete && image.naturalWidth) return done(performance.now() - begun);
        requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
"""


def enter(driver: Any, page: WebPage) -> None:
    """Come in as somebody who may answer."""
    driver.get(page.link)
    driver.find_element("id", "name").send_keys("ana")
    driver.find_element("css selector", "button").click()


def people(rounds: int) -> tuple[list[float], list[float]]:
    """Seconds from the alarm's messages to the question on the screen, and from a key to the next image."""
    told, pressed = [], []
    with tempfile.TemporaryDirectory() as folder, Furnished(Path(folder)) as office, chromium() as driver:
        office.furnish()
        office.watch()
        office.learn(budget=3.0)
        page = WebPage(office.reception, port=0)
        try:
            enter(driver, page)
            for number in range(rounds):
                name = f"digits-{number + 2}/harm"
                driver.get(page.address)
                driver.execute_script(WAIT_FOR, name)
                time.sleep(0.5)  # the page stands still, as it does when an alarm comes
                begun = time.time()
                office.say(IncidentOpened, incident=f"digits-{number + 2}", pipeline="digits-first", onset=901, alarm_at=936, log_evidence=14.3)
                office.ask_labels(name)
                while not (seen := driver.execute_script("return window.seen")):
                    pass
                told.append(seen / 1000 - begun)
                office.reception.answer(name, "expected", "ana", 901)
            for number in range(max(2, rounds // 4)):
                name = f"digits-1/q{number}"
                office.ask_labels(name)
                driver.get(f"{page.address}/question/{name}")
                pressed += [driver.execute_async_script(PRESS, answer) / 1000 for answer in office.answers[:-1]]
                driver.execute_script("document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '0', bubbles: true}))")
        finally:
            page.close()
    return told, [one for one in pressed if one > 0]


def watch(address: str, cookie: str) -> None:
    """Read the streams of `WATCHERS` open pages until this process is ended."""

    async def one() -> None:
        place = urlsplit(address)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(f"GET /live?topics=now,bar HTTP/1.1\r\nhost: {place.netloc}\r\ncookie: {cookie}\r\n\r\n".encode())
        while await reader.read(1 << 16):
            pass

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(WATCHERS)))

    asyncio.run(all_of_them())


@contextlib.contextmanager
def watched(page: WebPage) -> Iterator[None]:
    """Watchers in a process of their own."""
    with httpx.Client(base_url=page.address) as client:
        client.post("/enter", data={"token": page.access.watch_token, "name": ""})
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    process = subprocess.Popen([sys.executable, "-c", f"from benchmarks.page import watch; watch({page.address!r}, {cookie!r})"])
    time.sleep(4.0)  # until it has imported and connected
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def checks(rounds: int, beats: int) -> tuple[list[float], list[float]]:
    """Mean seconds of a heartbeat's drift check in each round: without watchers, and with them."""
    alone, seen = [], []
    clean = to_float(load("digits", "calibration").images)
    with tempfile.TemporaryDirectory() as folder, State(Path(folder)) as state:
        place = InProcess(state, load_scenario("default"), clock=time.time)
        switchboard = place.system.switchboard
        reception = Reception(place.board, place.ledger, place.inference, Evidence(state), switchboard.post, gallery=place.system.gallery)
        page = WebPage(reception, port=0)
        try:
            place.system.start()
            switchboard.run_until_idle()
            beat(place, clean, beats // 2)  # until the log of evidence is as long as it gets
            for _ in range(rounds):
                alone.append(statistics.mean(beat(place, clean, beats)))
                with watched(page):
                    seen.append(statistics.mean(beat(place, clean, beats)))
        finally:
            page.close()
    return alone, seen


def beat(place: InProcess, clean: np.ndarray[Any, np.dtype[np.float32]], beats: int) -> list[float]:
    """Heartbeats at their pace, each with new records; the seconds that each check took."""
    took, draw = [], np.random.default_rng(beats)
    for _ in range(beats):
        begun = time.perf_counter()
        place.inference.infer(clean[draw.integers(0, len(clean), PER_BEAT)])
        checked = time.perf_counter()
        place.system.switchboard.tick()
        place.system.switchboard.run_until_idle()
        took.append(time.perf_counter() - checked)
        time.sleep(max(0.0, HEARTBEAT - (time.perf_counter() - begun)))
    return took


def loads(rounds: int) -> dict[str, list[float]]:
    """Seconds until a page has come and is drawn, by address, with many open questions on a long ledger."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, State(Path(folder)) as state, chromium() as driver:
        ledger, board = Ledger.in_folder(state.folder, clock=time.time), Board("digits")
        for message in ledger.append(long_history()):
            board.listen(message)
        page = WebPage(Reception(board, ledger, Service(), Evidence(state), board.listen), port=0)
        try:
            enter(driver, page)
            for address in ("/", "/questions", "/incidents", "/incident/digits-7"):
                found[address] = []
                for _ in range(rounds):
                    driver.get(page.address + address)
                    found[address].append(driver.execute_script("return performance.getEntriesByType('navigation')[0].loadEventStart") / 1000)
        finally:
            page.close()
            ledger.close()
    return found


def long_history() -> list[Message]:
    """What a year might leave: 300 incidents of some 300 messages, saved evidence between, and questions that nobody has answered."""
    live = {"previous": "", "reference": "r", "base": "digits-first", "gated": False, "since": 1, "version": "1", "reason": "started"}
    made: list[Message] = [PipelineLive(id="live", deployment="digits", pipeline="digits-first", **live)]
    incidents = 300
    for number in range(incidents):
        name = f"digits-{number}"
        made.append(IncidentOpened(id=name, deployment="digits", incident=name, pipeline="digits-first", onset=9, alarm_at=10, log_evidence=14.0))
        made += [NoteMade(id=f"{name}/{place}", source="checker", deployment="digits", incident=name, text=f"note {place}") for place in range(300)]
    for number in range(QUESTIONS):
        asked = {"items": tuple(range(1, 21)), "purpose": "audit", "text": "Your labels measure.", "classes": tuple("0123456789"), "deadline": 9e9}
        name = f"digits-{number % incidents}"
        made.append(AskLabels(id=f"ask{number}", deployment="digits", incident=name, question=f"{name}/q{number}", **asked))  # type: ignore[arg-type]
    while len(made) < MESSAGES:
        number = len(made)
        saved = {"cursor": number, "weighed": 9, "log_evidence": 1.0, "pipeline": "p", "state": b"1" * 64}
        made.append(EvidenceSaved(id=f"e{number}", source="checker", deployment="digits", **saved))  # type: ignore[arg-type]
    return made


def main(*, quick: Annotated[bool, typer.Option(help="Fewer rounds.")] = False) -> None:
    """Measure, print, and keep the figures."""
    if reason := browser_error():
        raise SystemExit(reason)
    told, pressed = people(8 if quick else 30)
    alone, seen = checks(2 if quick else 5, 30 if quick else 100)
    loaded = loads(3 if quick else 10)
    ratios = [with_them / without for with_them, without in zip(seen, alone, strict=True)]
    slowest = max(loaded, key=lambda address: statistics.median(loaded[address]))
    rows = {
        "question": ("alarm to the question on an open page, s", statistics.median(told), max(told)),
        "key": ("key to the next image, s (95th percentile of all)", float(np.quantile(pressed, 0.95)), max(pressed)),
        "ratio": (f"drift check with {WATCHERS} watchers against none", statistics.median(ratios), max(ratios)),
        "load": (f"load of the slowest page ({slowest}), s", statistics.median(loaded[slowest]), max(loaded[slowest])),
    }
    table = Table("what", "must be under", "median or quantile", "worst")
    for key, (what, value, worst) in rows.items():
        table.add_row(what, f"{TARGETS[key]}", f"{value:.3f}", f"{worst:.3f}")
    Console().print(table)
    kept = {"question": told, "key": pressed, "check_alone": alone, "check_watched": seen, "load": loaded}
    name = "page_quick.json" if quick else "page.json"
    (RESULTS / name).write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
