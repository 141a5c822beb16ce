"""A report as one HTML file that needs nothing else: style, images and plots are in it. It tells a story as the web page does."""

import base64
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jinja2

from agents.messages import Message
from agents.reception import Images
from agents.reports.account import Account
from agents.reports.plots import titles
from agents.reports.words import day, duration
from agents.web.png import data_uri
from agents.web.timeline import HEADINGS, timeline

HERE = Path(__file__).parent
WEB = HERE.parent / "web"
THUMB = 84  # pixels of an image


@functools.cache
def _engine() -> jinja2.Environment:
    engine = jinja2.Environment(
        loader=jinja2.FileSystemLoader([HERE / "templates", WEB / "templates"]), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    engine.filters |= {"day": day, "duration": duration}
    return engine


def render(
    account: Account, messages: Sequence[Message], images: Callable[[str, Sequence[int]], Images], *, written: float,
    plots: Mapping[str, bytes] | None = None,
) -> str:
    """The file's text.

    Parameters
    ----------
    messages : of the whole ledger; the stories are taken out of them.
    images : those of the images of an incident, by record, that are still kept.
    written : UTC seconds of the writing.
    plots : PNG files by name, as `agents.reports.plots.draw` makes them.
    """
    plots = plots or {}
    stories = {}
    pictures: dict[str, dict[int, str]] = {}
    for told in account.incidents:
        name = told.incident
        entries = timeline([one for one in messages if one.incident == name and one.time <= account.until])
        wanted = sorted({label.seq for entry in entries for label in entry.labels})
        kept = images(name, wanted) if wanted else {}
        stories[name] = entries
        pictures[name] = {seq: data_uri(image, THUMB) for seq, image in kept.items() if image.ndim > 1}
    embedded = {name: "data:image/png;base64," + base64.b64encode(file).decode() for name, file in plots.items()}
    style = (WEB / "static" / "page.css").read_text(encoding="utf-8") + (HERE / "templates" / "report.css").read_text(encoding="utf-8")
    return _engine().get_template("account.html").render(
        account=account, stories=stories, pictures=pictures, plots=embedded, titles=titles(plots), headings=HEADINGS, style=style, written=written,
    )  # fmt: skip
