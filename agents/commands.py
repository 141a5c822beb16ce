"""What can be typed at a console, as words in and lines out. The same for the prompt, for scripts and for the command line."""

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from numpy.typing import NDArray
from rich.console import Console

from agents.board import QuestionView
from agents.late import LabelFileError, read_labels
from agents.pictures import Named, drawing_for, row_table, side_by_side
from agents.rules import of_section, rule_lines
from agents.screens import all_lines, incident_lines, question_lines, seat_lines, status_lines
from agents.visitor import Visitor
from workflows.serving.wire import RemoteError

SHOW_ROWS = 16  # of an image that is shown at the prompt, at most: what was said before stays in sight
OTHER_ROWS = 4  # of a terminal: what was typed, the names below the images, the prompt
LABELLING = ("label", "ask")
ALL = "all"


class CommandError(Exception):
    """A command cannot be carried out as it was typed; the text says what can be typed instead."""


class Command(NamedTuple):
    """A command and its help."""

    usage: str
    help: str


COMMANDS = {
    "status": Command("status", "what is live, how much has been checked, what is open"),
    "incidents": Command("incidents", "all incidents and their outcomes"),
    "story": Command("story [INCIDENT]", "everything that happened in an incident, by default the newest"),
    "questions": Command("questions", "open questions: why, which records, until when"),
    "label": Command("label [RECORD ANSWER]", "label images by keys; or give one answer: a class, skip, unsure, none of these, expected"),
    "amend": Command("amend RECORD ANSWER", "put right what you have said of an image, as long as its question is open"),
    "ask": Command("ask", "the same as label"),
    "show": Command("show RECORD ...", "draw the images of records, side by side"),
    "approve": Command("approve", "apply the planner's choice"),
    "decline": Command("decline", "apply nothing"),
    "choose": Command("choose OPTION", "another of the options that `questions` lists"),
    "labels": Command("labels FILE", "hand in true labels that have come late: a CSV file with record,label and attributes, if any"),
    "undo": Command("undo", "bring back the pipeline that was live before"),
    "policy": Command("policy [SECTION]", "the rules in force; those that differ from the defaults are marked *"),
    "agents": Command("agents", "what each agent is at, what it heard and said last, what it could not handle"),
    "pause": Command("pause [WHY]", "hold remedies: nothing new is prepared, deployed or asked; drift is looked for, open questions stay"),
    "resume": Command("resume", "let remedies go on with what was held back"),
    "use": Command("use NAME", "of several deployments, speak of this one only; `use all`: of all again"),
    "help": Command("help", "this list"),
    "quit": Command("quit", "detach (so does Ctrl-D); the cluster and its questions go on"),
}
LIVE = Command("live DEPLOYMENT [--at TIME]", "what was live then, and why; from the record, so no cluster need run")
JSON = ("status", "incidents", "story", "questions", "policy", "agents", "pause", "resume")


class Commands:
    """Carries commands out at a front desk.

    Parameters
    ----------
    visitor : the way there.
    name : who answers.
    """

    def __init__(self, visitor: Visitor, name: str) -> None:
        self._visitor, self._name = visitor, name
        self.deployments: tuple[str, ...] = ()  # for completion; learned with `sections`

    def run(self, line: str, *, as_json: bool = False) -> list[str]:
        """Carry out one line. Raises `CommandError`, and `WireError` when the cluster refuses or is gone."""
        words = line.split()
        if "--json" in words:
            as_json = True
            words.remove("--json")
        if not words:
            return []
        verb, *rest = words
        verb = verb.lower()
        if verb == "live":
            raise CommandError(f"what was live is read from the record, which needs no cluster: python -m agents.console {LIVE.usage}")
        if verb not in COMMANDS:
            raise CommandError(unknown(verb))
        if as_json and verb not in JSON:
            raise CommandError(f"{verb} has no --json; {', '.join(JSON)} have")
        run: Callable[[list[str], bool], list[str]] = getattr(self, f"_{verb}")
        return run(rest, as_json)

    def _status(self, words: list[str], as_json: bool) -> list[str]:
        _none(words, "status")
        found = self._visitor.statuses()
        if as_json:
            return _json(found[0] if len(found) == 1 else found)
        return status_lines(found[0]) if len(found) == 1 else all_lines(found)

    def _incidents(self, words: list[str], as_json: bool) -> list[str]:
        _none(words, "incidents")
        incidents = sorted((view for one in self._visitor.statuses() for view in one["incidents"]), key=lambda view: view["opened"])
        return _json(incidents) if as_json else incident_lines(incidents)

    def _use(self, words: list[str], _json: bool) -> list[str]:
        if len(words) != 1:
            raise CommandError(_usage("use"))
        self._visitor.use("" if words[0] == ALL else words[0])
        known = ", ".join(one["deployment"] for one in self._visitor.statuses())
        return [f"now about {known}"]

    def _story(self, words: list[str], as_json: bool) -> list[str]:
        if len(words) > 1:
            raise CommandError(_usage("story"))
        story = self._visitor.story(*words)
        return _json(story) if as_json else story

    def _questions(self, words: list[str], as_json: bool) -> list[str]:
        _none(words, "questions")
        questions = self._visitor.questions()
        return _json(questions) if as_json else question_lines(questions)

    def _label(self, words: list[str], _json: bool) -> list[str]:
        if not words:
            raise CommandError("labelling by keys needs a terminal; without one say `label RECORD ANSWER` (`questions` lists the records)")
        if len(words) < 2:
            raise CommandError(_usage("label"))
        seq, answer = _number(words[0]), " ".join(words[1:])
        asked = [question for question in self._visitor.questions() if question.kind == "labels"]
        if not asked:
            raise CommandError("no question for labels is open")
        question = next((one for one in asked if seq in one.items and seq not in one.answers), None)
        if question is None:
            question = next((one for one in asked if seq in one.items), None)
        if question is None:
            left = [str(item) for one in asked for item in one.items if item not in one.answers]
            raise CommandError(f"nobody asks about record {seq}; open are {' '.join(left)}")
        elsewhere = {one.deployment for one in asked if seq in one.items and seq not in one.answers} - {question.deployment}
        if elsewhere:
            raise CommandError(f"{_several([question.deployment, *elsewhere])} ask about a record {seq}; first say `use {question.deployment}`")
        self._offer(question, answer, seq)
        return [f"{answer} for record {seq}: taken"]

    def _amend(self, words: list[str], _json: bool) -> list[str]:
        if len(words) < 2:
            raise CommandError(_usage("amend"))
        seq, answer = _number(words[0]), " ".join(words[1:])
        question = next((one for one in self._visitor.questions() if one.kind == "labels" and seq in one.items), None)
        if question is None:
            raise CommandError(f"no open question is about record {seq}: an answer can be amended until its question closes, then it has been used")
        self._offer(question, answer, seq, amend=True)
        return [f"{answer} for record {seq}, in place of {question.answers.get(seq, 'what you said')}: taken"]

    def _ask(self, words: list[str], as_json: bool) -> list[str]:
        _none(words, "ask")
        return self._label(words, as_json)

    def _show(self, words: list[str], _json: bool) -> list[str]:
        shown = self.images_to_show(words)
        console = Console()
        with console.capture() as capture:
            if any(image.ndim == 1 for image in shown.values()):
                for image in shown.values():
                    console.print(row_table(image, self._visitor.features, console.width, len(image)))
            else:
                named = [Named(f"record {seq}", image) for seq, image in shown.items()]
                rows = max(1, min(SHOW_ROWS, console.height - OTHER_ROWS))
                for part in side_by_side(named, console.width, rows, drawing_for(console)):
                    console.print(part)
        return capture.get().splitlines()

    def images_to_show(self, words: list[str]) -> dict[int, NDArray[Any]]:
        """The images that `show` names, by record. Raises `CommandError` where one is not kept."""
        if not words:
            raise CommandError(_usage("show"))
        seqs = [_number(word) for word in words]
        images = self._visitor.images(seqs)
        for seq in seqs:
            if seq not in images:
                raise CommandError(f"the image of record {seq} is not kept (any more)")
        return {seq: images[seq] for seq in seqs}

    def _approve(self, words: list[str], _json: bool) -> list[str]:
        _none(words, "approve")
        return self._choice("approve")

    def _decline(self, words: list[str], _json: bool) -> list[str]:
        _none(words, "decline")
        return self._choice("decline")

    def _choose(self, words: list[str], _json: bool) -> list[str]:
        if not words:
            raise CommandError(_usage("choose"))
        return self._choice(" ".join(words))

    def about_undo(self) -> str:
        """What to ask a person before `undo`; nothing where there is nothing to bring back, or where it is not said for which deployment."""
        try:
            status = self._visitor.status()
        except RemoteError:
            return ""
        if not status["previous"] or status["previous"] == status["pipeline"]:
            return ""
        return f"Undo: bring {status['previous']} back in place of {status['pipeline']}? y / n"

    def _undo(self, words: list[str], _json: bool) -> list[str]:
        _none(words, "undo")
        refused = self._visitor.undo(self._name)
        if refused:
            raise CommandError(f"not undone: {refused}")
        return ["the pipeline before comes back; `status` says when it is live"]

    def _policy(self, words: list[str], as_json: bool) -> list[str]:
        if len(words) > 1:
            raise CommandError(_usage("policy"))
        rules = self._visitor.rules()
        try:
            rules = of_section(rules, words[0].strip("[]")) if words else rules
        except KeyError as error:
            raise CommandError(str(error.args[0])) from None
        return _json(rules) if as_json else rule_lines(rules)

    def sections(self) -> list[str]:
        """Sections of the policy, for completion; none where it is not known yet."""
        self.deployments = tuple(dict.fromkeys((*self.deployments, *(one["deployment"] for one in self._visitor.statuses()))))
        try:
            return list(dict.fromkeys(rule.section for rule in self._visitor.rules()))
        except RemoteError:
            return []

    def _agents(self, words: list[str], as_json: bool) -> list[str]:
        _none(words, "agents")
        seats = self._visitor.seats()
        return _json(seats) if as_json else seat_lines(seats)

    def _pause(self, words: list[str], as_json: bool) -> list[str]:
        if refused := self._visitor.pause(self._name, " ".join(words)):
            raise CommandError(f"not paused: {refused}")
        return self._paused(as_json) or ["remedies are paused: nothing new is prepared, deployed or asked until `resume`; `undo` works"]

    def _resume(self, words: list[str], as_json: bool) -> list[str]:
        _none(words, "resume")
        if refused := self._visitor.resume(self._name):
            raise CommandError(f"not resumed: {refused}")
        return self._paused(as_json) or ["remedies go on"]

    def _paused(self, as_json: bool) -> list[str]:
        """For programs: how it is now."""
        status = self._visitor.status() if as_json else {}
        return _json({name: status[name] for name in ("paused_by", "paused_reason", "paused_at")}) if as_json else []

    def _labels(self, words: list[str], _json: bool) -> list[str]:
        if not words:
            raise CommandError(_usage("labels"))
        try:
            late = read_labels(Path(" ".join(words)))
        except LabelFileError as error:
            raise CommandError(str(error)) from None
        self._visitor.labels(late.labels, late.slices)
        told = sorted({seq for values in late.slices.values() for seq in values} - late.labels.keys())
        more = f", and attributes of {len(told)} records without one" if told else ""
        return [f"{len(late.labels)} labels handed in{more}; the checks that the policy turns on learn from them"]

    def _help(self, _words: list[str], _json: bool) -> list[str]:
        return help_lines()

    def _quit(self, words: list[str], _json: bool) -> list[str]:
        _none(words, "quit")
        return []

    def _choice(self, option: str) -> list[str]:
        asked = [question for question in self._visitor.questions() if question.kind == "choice"]
        if not asked:
            raise CommandError("no choice is open")
        whose = list(dict.fromkeys(one.deployment for one in asked))
        if len(whose) > 1:
            raise CommandError(f"{_several(whose)} wait for a choice; first say `use {whose[0]}`")
        option = next((known for known in asked[0].options if _plain(known) == _plain(option)), option)
        self._offer(asked[0], option)
        return [f"{option} for {asked[0].question}: taken"]

    def _offer(self, question: QuestionView, answer: str, seq: int = 0, *, amend: bool = False) -> None:
        refused = self._visitor.answer(question.question, answer, self._name, seq, amend=amend)
        if refused:
            raise CommandError(f"refused: {refused}")


def help_lines() -> list[str]:
    """All commands, one a line."""
    return [f"{command.usage:<22} {command.help}" for command in COMMANDS.values()]


def unknown(verb: str) -> str:
    """What to type instead of a command that does not exist.

    >>> unknown("storry")
    "no command 'storry'; did you mean story? `help` lists all"
    """
    near = difflib.get_close_matches(verb, COMMANDS, n=1)
    return f"no command {verb!r}; " + (f"did you mean {near[0]}? " if near else "") + "`help` lists all"


def _usage(verb: str) -> str:
    return f"usage: {COMMANDS[verb].usage} - {COMMANDS[verb].help}"


def _none(words: list[str], verb: str) -> None:
    if words:
        raise CommandError(f"{verb} takes nothing after it; got {' '.join(words)!r}")


def _several(names: list[str]) -> str:
    return " and ".join(names)


def _plain(option: str) -> str:
    """Remedies are written fine_tune in files and fine tune on pages: either may be typed."""
    return option.lower().replace("_", " ").replace("-", " ")


def _number(word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise CommandError(f"{word!r} is no record number; `questions` lists them") from None


def _json(value: Any) -> list[str]:
    return [msgspec.json.encode(value).decode()]
