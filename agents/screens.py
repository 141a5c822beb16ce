"""What a console shows: questions, answers by key, what is live. Plain lines, or rich renderables; nothing is printed here."""

import itertools
import textwrap
import time
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agents.agreement import share_interval
from agents.board import QuestionView
from agents.labelling import ChoiceSession, KeySession, LabellingSession
from agents.pictures import Drawing, Named, picture, row_table
from agents.roll import Seat
from agents.story import INDENT

SENTENCE = " " * 24  # before the sentences of a story stand its seconds and who says so
PANEL = 34  # columns for the text beside an image, at least, with the gap
WIDEST = 48  # columns that it takes at most
NARROWEST = 24  # columns for an image; with less, text goes below it
SIDE = 14  # columns for the clean images beside it, and rows of one of them with its name, at least
SIDE_ROWS = 8
FRAME = 4  # rows for the title and the note
GIST = 3  # rows of the question's text in a panel, at least
OTHERS = ("s skip · u unsure · n none of these", "b back · e the change is expected", "q leave · ? help")
HELP = (
    "The answer to one image is handed in when you answer the next, so b can take it back. A label measures: say what you see, and u "
    "when you cannot tell; nobody is helped by a guess."
)


def clock(utc: float) -> str:
    """Time of day here."""
    return time.strftime("%H:%M", time.localtime(utc))


def moment(utc: float, now: float) -> str:
    """When something happened: the time of day here, with the day where it was not today."""
    then, today = time.localtime(utc), time.localtime(now)
    return time.strftime("%H:%M:%S" if then[:3] == today[:3] else "%Y-%m-%d %H:%M:%S", then)


def status_lines(status: Mapping[str, Any]) -> list[str]:
    """The fields of `agents.board.Status`, one a line."""
    incidents = status["incidents"]
    unsettled = [view["incident"] for view in incidents if not view["outcome"]]
    live = f"{status['pipeline']}, since {clock(status['since'])}: {status['reason']}" if status["pipeline"] else "nothing yet"
    closed = f"{len(incidents) - len(unsettled)} closed"
    share = f", now 1 in {status['every']}" if status["every"] > 1 else ""
    return [
        f"deployment   {status['deployment']}",
        f"live         {live}",
        f"records      {status['cursor']} checked{share}; log evidence of drift {status['log_evidence']:.1f}",
        f"incidents    {', '.join(unsettled) + ' open' if unsettled else 'none open'}, {closed}",
        f"questions    {', '.join(status['questions']) or 'none open'}",
        *([f"remedies     {paused(status)}"] if status["paused_by"] else []),
        *([f"people       {agreement(status['compared'], status['agreed'], status['kappa'])}"] if status["compared"] else []),
        *([f"asked again  the same of {status['again']['agreed']} of {status['again']['compared']} images"] if status["again"]["compared"] else []),
        *[f"pace         {pace_line(pace)}" for pace in status["paces"]],
    ]


def all_lines(statuses: Sequence[Mapping[str, Any]]) -> list[str]:
    """Several deployments, one a line: what is live, evidence against the alarm line, what is open."""
    rows = [("deployment", "live", "records", "evidence", "alarm at", "open incidents", "open questions")]
    for status in statuses:
        unsettled = [view["incident"] for view in status["incidents"] if not view["outcome"]]
        line = f"{status['alarm_line']:.1f}" if status["alarm_line"] else "-"
        asked = f"{len(status['questions'])}" if status["questions"] else "-"
        live = (status["pipeline"] or "nothing yet") + (" (remedies paused)" if status["paused_by"] else "")
        rows.append((status["deployment"], live, f"{status['cursor']:,}", f"{status['log_evidence']:.1f}", line, ", ".join(unsettled) or "-", asked))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numbers = (2, 3, 4)
    lines = []
    for row in rows:
        cells = (cell.rjust(wide) if at in numbers else cell.ljust(wide) for at, (cell, wide) in enumerate(zip(row, widths, strict=True)))
        lines.append("  ".join(cells).rstrip())
    return [*lines, f"`use {statuses[0]['deployment']}` speaks of one of them only"]


def paused(status: Mapping[str, Any]) -> str:
    """Who has paused remedies, since when and why."""
    why = f" ({status['paused_reason']})" if status["paused_reason"] else ""
    return f"PAUSED by {status['paused_by']} since {clock(status['paused_at'])}{why}; nothing new is prepared, deployed or asked until `resume`"


def agreement(compared: int, agreed: int, kappa: float | None = None) -> str:
    """How well two people agree who named the same images, with Wilson's 95 % interval for the share.

    >>> agreement(compared=10, agreed=9, kappa=0.88)
    'two of them agree on 9 of 10 images (0.60 to 0.98), kappa 0.88'
    >>> agreement(compared=1, agreed=0)
    'two of them named one image, and not alike'
    """
    if compared == 1:
        return f"two of them named one image, {'and alike' if agreed else 'and not alike'}"
    low, high = share_interval(agreed, compared)
    return f"two of them agree on {agreed} of {compared} images ({low:.2f} to {high:.2f})" + ("" if kappa is None else f", kappa {kappa:.2f}")


def pace_line(pace: Mapping[str, Any]) -> str:
    """How long one person takes for a label.

    >>> pace_line({"by": "ana", "channel": "web", "labels": 12, "seconds": 3.04})
    'ana takes 3.0 s a label (web, median of 12)'
    """
    return f"{pace['by']} takes {pace['seconds']:.1f} s a label ({pace['channel']}, median of {pace['labels']})"


def incident_lines(incidents: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line an incident, oldest first."""
    lines = []
    for view in incidents:
        end = f"{view['outcome']}: {view['reason']}" if view["outcome"] else "open"
        lines.append(f"{view['incident']:<16} {clock(view['opened'])}  records since {view['onset']}, {view['pipeline']}  {end}")
    return lines or ["no incident yet"]


def seat_lines(seats: Sequence[Seat]) -> list[str]:
    """Two lines an agent, and one more for what it could not handle."""
    lines: list[str] = []
    for seat in seats:
        lines.append(f"{seat.agent:<12} {seat.state}")
        heard, said = (f"{kind} at {time.strftime('%H:%M:%S', time.localtime(at))} ({count:,})" if kind else "nothing" for kind, at, count in (
            (seat.heard, seat.heard_at, seat.heard_count), (seat.said, seat.said_at, seat.said_count),
        ))
        lines.append(f"{'':<12} heard {heard}; said {said}")
        if seat.failed:
            lines.append(f"{'':<12} FAILED {seat.failed} {'time' if seat.failed == 1 else 'times'}, last {seat.failure}")
    return [*lines, "last message and (how many), since the start of the cluster"] if lines else ["no agent"]


def question_lines(questions: Sequence[QuestionView]) -> list[str]:
    """What is asked, why, and what to type."""
    lines = []
    for view in questions:
        if view.kind == "choice":
            options = ", ".join(view.options)
            lines += [f"{view.question}: choose {options} (by {clock(view.deadline)}, else {view.default}){_waits(view)}", f"  {view.text}"]
            continue
        left = [str(seq) for seq in view.items if seq not in view.answers]
        lines += [
            f"{view.question}: {len(left)} of {len(view.items)} labels missing, {purpose(view)} (by {clock(view.deadline)}){_waits(view)}",
            f"  {view.text}",
            f"  classes {', '.join(view.classes)}", f"  records {' '.join(left)}",
        ]
    return lines or ["no open question"]


def _waits(view: QuestionView) -> str:
    return f"; reminded at {clock(view.reminded)}" + (f", waits for {', '.join(view.waits_for)}" if view.waits_for else "") if view.reminded else ""


def purpose(question: QuestionView) -> str:
    """What the labels are for."""
    return "to measure" if question.purpose == "audit" else "to learn from"


def label_screen(
    session: LabellingSession, image: NDArray[Any] | None, columns: int, rows: int, drawing: Drawing, features: Sequence[str] = (),
    beside: Sequence[Named] = (), *, above: bool = False,
) -> RenderableType:
    """The image as large as the terminal allows, beside it (below it in a narrow one) why it is asked and the keys.

    What the model said of the image is not shown: who sees an answer tends to agree with it. `beside` are the clean images nearest to it, which
    are drawn smaller, next to it, where there is room. `above`: the images have been drawn above already, in pixels.
    """
    if session.item is None:
        return Text("handing in ...")
    if above:
        return Group(_title(session), _panel(session, min(columns, 2 * WIDEST), rows - FRAME), _note(session))
    if columns < PANEL + NARROWEST:
        panel = _panel(session, columns, rows - FRAME)
        left = rows - FRAME - len(panel.plain.splitlines()) - 1
        return Group(_title(session), _shown(session, image, columns, max(left, 4), drawing, features), panel, _note(session))
    side = [] if image is None or image.ndim == 1 or columns < PANEL + SIDE + NARROWEST else beside[: (rows - FRAME) // SIDE_ROWS]
    shown = _shown(session, image, columns - PANEL - (SIDE + 2 if side else 0), rows - FRAME, drawing, features)
    width = columns - PANEL if image is None else len(shown.plain.splitlines()[0])
    body = Table.grid(padding=(0, 2, 0, 0))
    body.add_column(width=width, no_wrap=image is not None)
    if side:
        body.add_column(width=SIDE, no_wrap=True)
        width += SIDE + 2
    body.add_column()
    panel = _panel(session, min(columns - width - 2, WIDEST), rows - FRAME)
    body.add_row(shown, *([_clean(side, rows - FRAME, drawing)] if side else []), panel)
    return Group(_title(session), body, _note(session))


def _clean(beside: Sequence[Named], rows: int, drawing: Drawing) -> Text:
    """Clean images below one another, each under its class: what the model finds most alike, which may be wrong."""
    parts = [Text("clean, alike:", "dim")]
    for one in beside:
        parts += [Text(one.name[:SIDE], "dim"), picture(one.image, SIDE, (rows - 1) // len(beside) - 1, drawing)]
    return Text("\n").join(parts)


def _shown(
    session: LabellingSession, image: NDArray[Any] | None, columns: int, rows: int, drawing: Drawing, features: Sequence[str]
) -> Text:
    if image is None:
        return Text(f"The image of record {session.item} is not kept any more.\ns skips it", "bold")
    return row_table(image, features, columns, rows) if image.ndim == 1 else picture(image, columns, rows, drawing)


def _title(session: LabellingSession) -> Text:
    number, total = session.place
    question = session.question
    title = Text(no_wrap=True, overflow="ellipsis")
    what = f"  {purpose(question)}, {question.question}, by {clock(question.deadline)}\n"
    return title.append(f"{number} of {total}", "bold").append(what, "dim")


def _panel(session: LabellingSession, width: int, rows: int) -> Text:
    others = [part for words in OTHERS for part in textwrap.wrap(words, width)]
    keys = [*_class_list(session, width), "", *others, *(["", *textwrap.wrap(HELP, width)] if session.help else [])]
    gist = textwrap.wrap(session.question.text, width, max_lines=max(GIST, rows - len(keys) - 1), placeholder=" …")
    return Text("\n".join([*gist, "", *keys]))


def _class_list(session: LabellingSession, width: int) -> list[str]:
    keys = session.keys
    if not keys:
        return textwrap.wrap(f"{len(session.question.classes)} classes are too many for keys: q, then `label {session.item} CLASS`", width)
    if all(key == name for key, name in keys.items()):
        return textwrap.wrap(f"{' '.join(keys)}  the class", width)
    cells = [f"{key} {name}" for key, name in keys.items()]
    wide = max(len(cell) for cell in cells) + 2
    across = max(1, min(width // wide, 2))
    down = -(-len(cells) // across)
    return ["".join(cell.ljust(wide) for cell in cells[place::down]).rstrip()[:width] for place in range(down)]


def _note(session: LabellingSession) -> Text:
    if session.state == "confirming":
        return Text("Is the change meant, for all these images? Then nothing is mended, and it raises no alarm again. y / n", "bold")
    held = f"{session.held.answer} for the last one (b takes it back)" if session.held else ""
    return Text("; ".join(part for part in (session.note, held) if part), "bold" if session.note else "dim")


def choice_text(question: QuestionView, story: Sequence[str], columns: int) -> list[str]:
    """The planner's table and what it would do."""
    return ["", question.question, *table_lines(story, columns), "", *textwrap.wrap(question.text, columns)]


def choice_screen(session: ChoiceSession) -> RenderableType:
    """One key for each option."""
    question = session.question
    keys = Text()
    for key, option in session.keys.items():
        keys.append(f"  {key} ", "bold").append(f"{option}\n")
    keys.append("  q ", "bold").append("decide later")
    by = Text(f"Without an answer by {clock(question.deadline)}: {question.default}.", "dim")
    return Group(Text(), keys, by, Text(session.note, "bold"))


def summary(session: KeySession) -> str:
    """What became of a question that had the terminal."""
    name = session.question.question
    if session.state == "left":
        return f"{name} stays open; `label` goes back to it" + (f"; {session.note}" if session.dropped and session.note else "")
    if isinstance(session, ChoiceSession):
        return f"{name}: {session.note}"
    return f"{name}: {session.sent} handed in" + (f"; {session.note}" if session.note else "")


def table_lines(story: Sequence[str], columns: int) -> list[str]:
    """The newest table in a story, with the verdicts below their rows where they do not fit beside them.

    >>> table_lines(["0.0 s  planner  chosen: filter", INDENT + "remedy  gain  verdict", INDENT + "filter  +0.2  CHOSEN; fits"], 24)
    ['remedy  gain', 'filter  +0.2', '  CHOSEN; fits']
    """
    rows: list[str] = []
    for one in story:
        if one.startswith(INDENT):
            rows.append(one.removeprefix(INDENT))
        elif rows and not rows[-1].isspace():
            rows.append(" ")  # ends a table: only the rows after the last such line are the newest one's
    while rows and rows[-1].isspace():
        rows.pop()
    newest = rows[max((place for place, row in enumerate(rows) if row.isspace()), default=-1) + 1 :]
    if max((len(row) for row in newest), default=0) <= columns:
        return newest
    start = newest[0].find("verdict")
    told: list[str] = []
    for row in newest:
        told.append(row[:start].rstrip() if start > 0 else row)
        verdict = row[start:].strip() if start > 0 else ""
        if verdict and row is not newest[0]:
            told += textwrap.wrap(verdict, columns - 2, initial_indent="  ", subsequent_indent="  ")
    return told


def story_lines(story: Sequence[str], columns: int) -> list[str]:
    """A story that fits: sentences go on below where they begin, tables as in `table_lines`."""
    lines: list[str] = []
    for in_table, rows in itertools.groupby(story, lambda row: row.startswith(INDENT)):
        if in_table:
            lines += [f"    {row}" for row in table_lines(list(rows), columns - 4)]
        else:
            lines += [part for row in rows for part in textwrap.wrap(row, columns, subsequent_indent=SENTENCE)]
    return lines
