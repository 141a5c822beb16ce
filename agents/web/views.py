"""Pages made of templates: what each shows, and nothing about HTTP."""

import functools
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import msgspec

from agents.board import QuestionView, Status
from agents.messages import ChoiceMade, Message
from agents.reception import Images, Reception
from agents.reports.account import of_incident
from agents.reports.accuracy import TELLING, Known, known_accuracy, verified_gain
from agents.reports.page import render
from agents.screens import clock, purpose
from agents.web.access import Session
from agents.web.accuracy import draw_accuracy
from agents.web.beside import Beside, called
from agents.web.live import Frames, event
from agents.web.plot import draw
from agents.web.seats import Seat
from agents.web.timeline import HEADINGS, newest_table, timeline

HERE = Path(__file__).parent
STATIC = HERE / "static"
FEW = 20  # questions or incidents that the overview lists; all of them stand on their own pages
NEWS = 12  # lines of what happened
SIDE = 420  # pixels of an enlarged image, at most
THUMB = 84  # pixels of a small one

WORDS = (("s", "skip"), ("u", "unsure"), ("n", "none of these"))


@dataclass(frozen=True)
class Asset:
    """A file of the package, named by its contents so that a browser may keep it for ever."""

    name: str
    body: bytes
    kind: str


@functools.cache
def assets() -> dict[str, Asset]:
    """Style, scripts and icon by name."""
    kinds = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    return {path.name: Asset(path.name, path.read_bytes(), kinds[path.suffix]) for path in sorted(STATIC.iterdir()) if path.suffix in kinds}


@functools.cache
def _engine() -> jinja2.Environment:
    """Templates, each read and compiled when it is first asked for: once for all pages of this process."""
    engine = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    versions = {name: hashlib.blake2s(asset.body, digest_size=6).hexdigest() for name, asset in assets().items()}
    engine.globals["asset"] = lambda name: f"/static/{name}?{versions[name]}"
    engine.filters["called"] = called
    engine.filters |= {"clock": clock, "day": lambda utc: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(utc)), "purpose": purpose}
    return engine


class Views:
    """Renders. Everything that people wrote is escaped by the template engine. `at` leads every address, where several deployments have pages."""

    def __init__(self, reception: Reception, beside: Beside, at: str = "") -> None:
        self._reception, self._beside, self._at = reception, beside, at
        self.assets, self._engine = assets(), _engine()
        self._accuracy: tuple[object, Known | None] = None, None

    def page(self, template: str, visitor: Session | None, notice: str = "", **fields: Any) -> str:
        """A whole page for a visitor, or for somebody who is not known."""
        status = self._reception.board.status()
        around = {"session": visitor, "status": status, "open_count": len(status.questions), "notice": notice, "at": self._at}
        return self._engine.get_template(template).render(around | fields)

    def part(self, template: str, **fields: Any) -> str:
        """A piece of a page."""
        return self._engine.get_template(template).render({"at": self._at} | fields)

    # --- overview ---

    def now(self) -> dict[str, Any]:
        """What the overview shows."""
        board = self._reception.board
        status = board.status()
        unsettled = [view for view in status.incidents if not view.outcome]
        settled = [view for view in status.incidents if view.outcome]
        return {
            "status": status, "questions": board.questions()[:FEW], "open_count": len(status.questions), "unsettled": unsettled[::-1],
            "settled": settled[: -FEW - 1 : -1], "settled_count": len(settled), "plot": draw(board.trace(), status.alarm_line),
            "news": board.news(NEWS), "accuracy": self.accuracy(status),
        }

    def accuracy(self, status: Status) -> Known | None:
        """What is known of accuracy now: the newest that the newest incident tells; None where none has given cause to estimate it."""
        newest = self._reception.board.newest_incident()
        heard = newest, [status.counts.get(kind.__name__, 0) for kind in TELLING]
        if heard != self._accuracy[0]:  # reading a story each heartbeat would be more than it is worth
            self._accuracy = heard, next(reversed(known_accuracy(self._reception.messages(newest))), None) if newest else None
        return self._accuracy[1]

    def frames(self) -> Frames:
        """The messages for open pages, by topic: `now` for the overview, `bar` for every page, `questions` for who answers one."""
        shown = self.now()
        board = self._reception.board
        open_now = [(view.question, len(view.answers)) for view in board.questions()]
        told = (open_now, shown["status"].counts.get("AnswerRefused", 0), shown["status"].counts.get("QuestionClosed", 0))
        digest = hashlib.blake2s(repr(told).encode(), digest_size=8).hexdigest()
        now = f'<hx-partial hx-target="#now" hx-swap="innerMorph">{self.part("now.html", **shown)}</hx-partial>'
        bar = "".join(
            f'<hx-partial hx-target="#{place}" hx-swap="textContent">{self.part(template, **shown)}</hx-partial>'
            for place, template in (("open-count", "open_count.html"), ("heard", "heard.html"))
        )
        return {"now": event(now), "bar": event(bar), "questions": event(digest, "questions")}

    # --- questions ---

    def seat(self, seat: Seat, session: Session, images: Images) -> dict[str, Any]:
        """What a person sees who labels."""
        labelling = seat.session
        question, item = labelling.question, labelling.item
        number, total = labelling.place
        now = self._reception.board.question(question.question) or question  # the session's own is as it was at first
        missing = sum(seq not in now.answers for seq in question.items)
        following = [seq for seq in question.items if seq not in now.answers and seq != item]
        others = [view for view in self._reception.board.questions() if view.question != question.question]
        return {
            "question": question, "seat": seat, "labelling": labelling, "session": session, "item": item, "number": number, "total": total,
            "missing": missing, "kept": item in images, "next_items": following[:2], "words": WORDS, "next_question": others[0] if others else None,
            "row": self._row(images.get(item)) if item is not None else None,
            "around": self._beside.of(self._reception, question.incident, item, images[item]) if item is not None and item in images else None,
            "by_class": {name: key for key, name in labelling.keys.items()},
        }

    def _row(self, image: Any) -> list[tuple[str, str]] | None:
        """Names and values of a row of a table; None for an image."""
        if image is None or image.ndim != 1:
            return None
        return [(name, f"{value:.6g}") for name, value in zip(self._reception.features, image, strict=True)]

    def decision(self, view: QuestionView, messages: Sequence[Message]) -> dict[str, Any]:
        """The planner's table, what can be answered, and how it ended."""
        made = next((one for one in messages if isinstance(one, ChoiceMade) and one.question == view.question), None)
        return {
            "question": view, "rows": newest_table(messages, view), "headings": HEADINGS, "closed": self._reception.board.closed(view.question),
            "made": made, "strips": self._beside.strips(self._reception, view.incident, messages),
            "others": [name for name in view.options if name not in ("approve", "decline")],
        }

    # --- incidents ---

    def incident(self, name: str, messages: Sequence[Message]) -> dict[str, Any]:
        """One incident and its story."""
        return {
            "incident": self._reception.board.incident(name), "name": name, "entries": timeline(messages), "headings": HEADINGS,
            "accuracy": draw_accuracy(known_accuracy(messages)), "verified": verified_gain(messages),
        }  # fmt: skip

    def report(self, name: str, messages: Sequence[Message]) -> str:
        """What `python -m agents.report` writes, but for its plots: one HTML file that needs nothing else."""
        since = self._reception.since(messages[0].time)
        return render(of_incident(since, name), since, self._reception.kept, written=time.time())


def plain(value: Any) -> Any:
    """Structs as plain values, for JSON."""
    return msgspec.to_builtins(value, str_keys=True)
