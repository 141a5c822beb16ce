"""How quick is the web page, and what does it cost the agents?

    python -m benchmarks.page               # some ten minutes on two cores; needs Chromium and its driver
    python -m benchmarks.page --quick       # fewer rounds

Five things, each against what was set out before: from the alarm's messages to the question on an open page (the analysis between, which
waits for records, is left out); from a key to the next image, drawn, with its clean neighbours and a filter's preview beside it; a scripted
person who labels 20 images and approves a remedy, by keyboard alone, who looks at each image for 1.5 s and at the decision for 5 s; the drift
check with 100 watchers against none, in short rounds that alternate, at the pace of the heartbeat, the watchers in a process of their own; and
the load of a page with 1,000 open questions on a ledger of 100,000 messages.
"""

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import httpx
import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

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
from tests.web.scene import AUDIT
from workflows.serving.service import Service

RESULTS = Path(__file__).parent / "results"
WATCHERS, PER_BEAT = 100, 200
QUESTIONS, MESSAGES = 1000, 100_000
BEATS = 20  # heartbeats of a round of checks: four seconds
LOOK, READ = 1.5, 5.0  # seconds that the scripted person needs for an image, and for the table of remedies
TABS = 60  # on the way to a button, at most
TARGETS = {"question": 0.5, "key": 0.1, "person": 60.0, "ratio": 1.05, "load": 1.0}

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


def person() -> dict[str, float]:
    """Seconds that a scripted person takes from the open page to 20 labels and an approved remedy; of these, how many the page took."""
    with tempfile.TemporaryDirectory() as folder, Furnished(Path(folder)) as office, chromium() as driver:
        office.furnish()
        office.watch()
        office.learn(budget=3.0)
        page = WebPage(office.reception, port=0)
        try:
            enter(driver, page)
            office.ask_labels(AUDIT)
            begun, looked = time.perf_counter(), 0.0
            walk(driver, f"[href$='{quote(AUDIT)}']")
            for answer in office.answers:
                until(driver, "const one = document.querySelector('#seat img.big'); return one && one.complete && one.id !== window.last")
                driver.execute_script("window.last = document.querySelector('#seat img.big').id")
                time.sleep(LOOK)
                looked += LOOK
                press(driver, answer)
            until(driver, "return document.querySelector('#seat .done') !== null")
            handed_in = len(office.taken)
            office.assess()
            office.measure()
            until(driver, "return document.querySelector('#seat [data-key=Enter]') !== null")
            press(driver, Keys.ENTER)
            until(driver, "return document.querySelector('button[value=approve]') !== null")
            time.sleep(READ)
            looked += READ
            walk(driver, "button[value=approve]")
            until(driver, "return document.body.innerText.includes('Your answer was taken')")
            took = time.perf_counter() - begun
        finally:
            page.close()
    return {"seconds": took, "page": took - looked, "labels": handed_in}


def press(driver: Any, key: str) -> None:
    """Press a key, wherever the focus is."""
    ActionChains(driver).send_keys(key).perform()


def until(driver: Any, script: str, limit: float = 30.0) -> None:
    """Wait until a script gives true. Raises `TimeoutError`."""
    ends = time.perf_counter() + limit
    while not driver.execute_script(script):
        if time.perf_counter() > ends:
            raise TimeoutError(f"not within {limit:g} s on {driver.current_url}: {script}")
        time.sleep(0.01)


def walk(driver: Any, selector: str) -> None:
    """Go with the tabulator to what `selector` finds, and press Enter there."""
    for _ in range(TABS):
        press(driver, Keys.TAB)
        if driver.execute_script("return document.activeElement.matches(arguments[0])", selector):
            press(driver, Keys.ENTER)
            return
    raise TimeoutError(f"{selector} cannot be reached by keyboard within {TABS} steps on {driver.current_url}")


def watch(address: str, cookie: str) -> None:
    """At each line of standard input, open `WATCHERS` streams and read them, or close them; one word tells when that is done."""

    async def one(come: asyncio.Semaphore) -> None:
        place = urlsplit(address)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        try:
            writer.write(f"GET /live?topics=now,bar HTTP/1.1\r\nhost: {place.netloc}\r\ncookie: {cookie}\r\n\r\n".encode())
            while await reader.read(1 << 16):
                come.release()
        finally:
            writer.close()

    async def serve() -> None:
        open_now: list[asyncio.Task[None]] = []
        while await asyncio.to_thread(sys.stdin.readline):
            if open_now:
                for task in open_now:
                    task.cancel()
                await asyncio.gather(*open_now, return_exceptions=True)
                open_now = []
            else:
                come = asyncio.Semaphore(0)
                open_now = [asyncio.create_task(one(come)) for _ in range(WATCHERS)]
                for _ in range(WATCHERS):
                    await come.acquire()
            print("done", flush=True)

    asyncio.run(serve())


@contextlib.contextmanager
def watchers(page: WebPage) -> Iterator[Callable[[], None]]:
    """Watchers in a process of their own; what is given opens all their pages, and closes them the next time."""
    with httpx.Client(base_url=page.address) as client:
        client.post("/enter", data={"token": page.access.watch_token, "name": ""})
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    command = [sys.executable, "-c", f"from benchmarks.page import watch; watch({page.address!r}, {cookie!r})"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        sent, told = process.stdin, process.stdout
        assert sent is not None
        assert told is not None

        def toggle() -> None:
            sent.write("\n")
            sent.flush()
            if told.readline() != "done\n":
                raise RuntimeError("the watchers have ended; what they wrote stands above")

        yield toggle
        sent.close()


def checks(rounds: int) -> tuple[list[list[float]], list[list[float]]]:
    """Seconds of each heartbeat's drift check, round by round: without watchers, and with them. Which comes first alternates."""
    alone: list[list[float]] = []
    seen: list[list[float]] = []
    clean = to_float(load("digits", "calibration").images)
    with tempfile.TemporaryDirectory() as folder, State(Path(folder)) as state:
        place = InProcess(state, load_scenario("default"), clock=time.time)
        switchboard = place.system.switchboard
        reception = Reception(place.board, place.ledger, place.inference, Evidence(state), switchboard.post, gallery=place.system.gallery)
        page = WebPage(reception, port=0)
        try:
            place.system.start()
            switchboard.run_until_idle()
            beat(place, clean, BEATS)  # everything has been imported and compiled
            with watchers(page) as toggle:
                for number in range(2 * rounds):
                    (alone, seen)[number % 2].append(beat(place, clean, BEATS))
                    toggle()
        finally:
            page.close()
    return alone, seen


def checks_apart(rounds: int) -> tuple[list[list[float]], list[list[float]]]:
    """`checks` in a process with one thread for linear algebra, as the checker has in the cluster."""
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", f"import json; from benchmarks.page import checks; print(json.dumps(checks({rounds})))"]
    done = subprocess.run(command, env=os.environ | one_thread, stdout=subprocess.PIPE, text=True, check=True)
    alone, seen = json.loads(done.stdout.splitlines()[-1])
    return alone, seen


def beat(place: InProcess, clean: np.ndarray[Any, np.dtype[np.float32]], beats: int, count: int = PER_BEAT) -> list[float]:
    """Heartbeats at their pace, each with `count` new records; the seconds that each check took."""
    took, draw = [], np.random.default_rng(place.board.status().cursor)
    for _ in range(beats):
        begun = time.perf_counter()
        if count:
            place.inference.infer(clean[draw.integers(0, len(clean), count)])
        checked = time.perf_counter()
        place.system.switchboard.tick()
        place.system.switchboard.run_until_idle()
        took.append(time.perf_counter() - checked)
        time.sleep(max(0.0, HEARTBEAT - (time.perf_counter() - begun)))
    return took


def ratio_of(alone: list[list[float]], seen: list[list[float]], draws: int = 2000) -> tuple[float, float, float]:
    """How much longer the typical check takes with watchers, and a 95 % interval: a bootstrap over pairs of rounds that stand side by side."""
    draw, first, second = np.random.default_rng(0), np.array(alone), np.array(seen)
    chosen = draw.integers(0, len(first), (draws, len(first)))
    ratios = np.median(second[chosen], (1, 2)) / np.median(first[chosen], (1, 2))
    low, high = np.quantile(ratios, (0.025, 0.975))
    return float(np.median(second) / np.median(first)), float(low), float(high)


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
    by_hand = person()
    alone, seen = checks_apart(4 if quick else 50)
    loaded = loads(3 if quick else 10)
    ratio, low, high = ratio_of(alone, seen)
    slowest = max(loaded, key=lambda address: statistics.median(loaded[address]))
    rows = {
        "question": ("alarm to the question on an open page, s", statistics.median(told), f"worst {max(told):.3f}"),
        "key": ("key to the next image, s (95th percentile)", float(np.quantile(pressed, 0.95)), f"worst {max(pressed):.3f}"),
        "person": (f"{by_hand['labels']:.0f} images labelled and a remedy approved, s", by_hand["seconds"], f"{by_hand['page']:.1f} the page's"),
        "ratio": (f"drift check with {WATCHERS} watchers against none", ratio, f"95 % interval {low:.3f} to {high:.3f}"),
        "load": (f"load of the slowest page ({slowest}), s", statistics.median(loaded[slowest]), f"worst {max(loaded[slowest]):.3f}"),
    }
    table = Table("what", "must be under", "measured", "and")
    for key, (what, value, more) in rows.items():
        table.add_row(what, f"{TARGETS[key]:g}", f"{value:.3f}", more)
    Console().print(table)
    figures = {key: {"what": what, "under": TARGETS[key], "measured": value, "and": more} for key, (what, value, more) in rows.items()}
    kept = {"figures": figures, "question": told, "key": pressed, "person": by_hand, "check_alone": alone, "check_watched": seen, "load": loaded}
    name = "page_quick.json" if quick else "page.json"
    (RESULTS / name).write_text(json.dumps(rounded(kept), indent=1) + "\n", encoding="utf-8")


def rounded(kept: Any) -> Any:
    """The same to a hundredth of a millisecond."""
    if isinstance(kept, dict):
        return {key: rounded(value) for key, value in kept.items()}
    return [rounded(value) for value in kept] if isinstance(kept, list) else round(kept, 5) if isinstance(kept, float) else kept


if __name__ == "__main__":
    typer.run(main)
