"""The console with a terminal: a prompt, news above it, and labelling by keys. Reads the keyboard in the main thread only."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application, run_in_terminal
from prompt_toolkit.completion import Completer, DynamicCompleter
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.patch_stdout import patch_stdout
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from agents.board import QuestionView
from agents.commands import LABELLING, CommandError, Commands
from agents.completion import completer
from agents.gate import confirmation, gate
from agents.graphics import Graphics, shown
from agents.keyboard import LEAVE, key_app
from agents.labelling import ENDINGS, ChoiceSession, KeySession, LabellingSession, Offer
from agents.messages import AnswerOffered, Label, LabelAmended, LabelGiven, QuestionClosed
from agents.pictures import Named, drawing_for
from agents.screens import choice_screen, choice_text, label_screen, moment, story_lines, summary
from agents.story import line
from agents.viewing import Viewing
from agents.visitor import Visitor
from workflows.serving.wire import RemoteError, WireError

POLL = 0.2  # seconds between looks at the board
BACKLOG = 8  # events that are shown again to who attaches
WAKE = "\0"  # what the prompt gives when something else wants the terminal; nobody can type it

Ending = Literal["over", "left", "interrupted"]


class Terminal:
    """One person at one terminal.

    Parameters
    ----------
    visitor : the way to the cluster.
    name : who answers.
    over : asked at each look; a sentence ends the conversation, None lets it go on.
    history : file that keeps what was typed; without one it is forgotten.
    console : where to draw; by default standard output.
    graphics : how the terminal draws pixels, if it can.
    """

    def __init__(
        self, visitor: Visitor, name: str, *, over: Callable[[], str | None], history: Path | None = None, console: Console | None = None,
        graphics: Graphics | None = None,
    ) -> None:
        self._visitor, self._name, self._over, self._graphics = visitor, name, over, graphics
        # The stream of now, not what `patch_stdout` puts in its place: own words are drawn in order, only those of others wait their turn.
        self._console = console or Console(file=sys.stdout)
        self._commands = Commands(visitor, name)
        self._prompt: PromptSession[str] = PromptSession(
            history=_history(history), completer=DynamicCompleter(self._completer), complete_while_typing=False
        )
        self._app: Application[str] | None = None
        self._gate: Application[str] | None = None  # while Enter is waited for
        self._keys: KeySession | None = None  # while a question has the terminal
        self._draft = ""
        self._questions: dict[str, QuestionView] = {}
        self._incidents: list[str] = []
        self._sections: list[str] = []  # of the policy
        self._attended: set[str] = set()  # questions that have had the terminal once, or were announced
        self._taken_away = False  # the last question closed under the person's fingers: keys may still be on their way to it
        self._own: set[str] = set()  # events that only repeat what was answered here
        self._seen = 0
        self._begun = False
        self._news: list[tuple[float, str]] = []  # when it happened (UTC seconds), and what
        self.reason: str | None = None  # why the conversation is over
        self.failure: WireError | None = None  # what ended it

    async def run(self) -> Ending:
        """Talk until `over`, or until the person leaves. Raises `WireError` when the cluster goes away."""
        with patch_stdout(raw=True):
            watch = asyncio.create_task(self._watch())
            watch.add_done_callback(lambda _: self._wake())
            try:
                ending = await self._converse(watch)
            finally:
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)
        if not watch.cancelled():
            watch.result()
        if self.failure is not None:
            raise self.failure
        return ending

    # --- the prompt ---

    async def _converse(self, watch: "asyncio.Task[None]") -> Ending:
        await self._show(Text(f"attached as {self._name}; `help` lists what can be typed, `quit` detaches"))
        try:
            while self.reason is None and not watch.done():
                question = self._waiting()
                if question is not None:
                    await self._attend(question)
                    continue
                typed = await self._ask()
                if typed == WAKE:
                    continue
                if typed.strip().lower() in ("quit", "exit"):
                    return "left"
                await self._carry_out(typed)
        except EOFError:
            return "left"
        except KeyboardInterrupt:
            return "interrupted"
        except WireError as error:
            self.failure = error
        return "over"

    async def _ask(self) -> str:
        self._app = self._prompt.app
        self._app.erase_when_done = False
        draft, self._draft = self._draft, ""
        try:
            return await self._prompt.prompt_async(self._message, default=draft)
        finally:
            self._app = None

    def _message(self) -> str:
        count = len(self._questions)
        who = " ".join(["scanflow", *filter(None, [self._visitor.deployment])])
        return f"{who} ({count} question{'s' * (count > 1)})> " if count else f"{who}> "

    async def _carry_out(self, typed: str) -> None:
        verb = typed.strip().lower()
        if verb == "undo" and not await self._is_undo_meant():
            await self._show(Text("not undone", "bold"))
            return
        if verb in LABELLING:
            if not self._questions:
                await self._show(Text("no open question"))
            self._attended -= set(self._questions)  # so that each gets the terminal again
            return
        try:
            if self._graphics is not None and typed.split()[:1] == ["show"]:
                images = await asyncio.to_thread(self._commands.images_to_show, typed.split()[1:])
                if all(image.ndim > 1 for image in images.values()):
                    named = [Named(f"record {seq}", image) for seq, image in images.items()]
                    await self._write(shown(named, self._graphics, self._console.width))
                    return
            lines = await asyncio.to_thread(self._commands.run, typed)
            if verb.startswith("use "):
                await self._know(sections=True)
        except (CommandError, WireError) as error:
            await self._show(Text(str(error), "bold"))
            return
        if typed.split()[:1] == ["story"] and "--json" not in typed:
            lines = story_lines(lines, self._console.width)
        await self._show(*(Text.from_ansi(one) for one in lines))

    async def _is_undo_meant(self) -> bool:
        """Ask whether the pipeline before is to come back. Where there is none, the planner says so."""
        try:
            text = await asyncio.to_thread(self._commands.about_undo)
            if not text:
                return True
            self._gate = confirmation(text)
            return await self._gate.run_async() == "yes"
        except KeyboardInterrupt:
            return False
        finally:
            self._gate = None

    def _completer(self) -> Completer:
        return completer(self._incidents, self._questions.values(), self._sections, self._commands.deployments)

    def _waiting(self) -> QuestionView | None:
        """A question that has not had the terminal yet. It waits while a command is being typed, so that no letter of it answers."""
        if self._draft:
            return None
        return next((question for name, question in self._questions.items() if name not in self._attended), None)

    def _wake(self) -> None:
        """Take the terminal away from the prompt; what was typed so far is kept."""
        app = self._app
        if app is not None and app.is_running and not app.is_done:
            self._draft = self._prompt.default_buffer.text
            app.erase_when_done = True  # an empty prompt is no line worth keeping
            app.exit(result=WAKE)

    # --- news ---

    async def _watch(self) -> None:
        while True:
            try:
                await self._look()
            except WireError as error:
                self.failure, self.reason = error, str(error)
            if self.reason is not None:
                self._leave_keys()
                self._wake()
            elif self._keys is None and self._waiting() is not None and not self._prompt.default_buffer.text:  # a question keeps the terminal
                self._wake()
            await asyncio.sleep(POLL)

    async def _look(self) -> None:
        self.reason = self._over()
        if self.reason is not None:
            return
        fresh = await asyncio.to_thread(self._visitor.events, self._seen)
        if not fresh:
            return
        # Questions and incidents change with events only, so most looks ask for nothing else.
        await self._know()
        self._seen = fresh[-1][0]
        news = [(at, text) for _, at, text in fresh]
        self._news += news if self._begun else news[-BACKLOG:]
        self._begun = True
        self._tell_keys([text for _, text in news])
        if self._keys is None:
            await self._show_news()

    async def _know(self, *, sections: bool = False) -> None:
        """Learn what is open, and what can be typed."""
        questions = await asyncio.to_thread(self._visitor.questions)
        statuses = await asyncio.to_thread(self._visitor.statuses)
        if sections or not self._begun:
            self._sections = await asyncio.to_thread(self._commands.sections)
        self._questions = {question.question: question for question in questions}
        self._incidents = [view["incident"] for status in statuses for view in status["incidents"]]

    async def _show_news(self) -> None:
        """All news but echoes of what was just answered here. While images are labelled news waits: it would push them off the screen."""
        told, self._news = [(at, text) for at, text in self._news if text not in self._own], []
        rows = Table.grid(padding=(0, 1, 0, 0))
        for at, text in told:
            rows.add_row(Text(moment(at, time.time()), "dim"), Text(text))
        busy = self._app is not None and bool(self._prompt.default_buffer.text)
        news: list[RenderableType] = [rows] if told else []
        if busy and self._waiting() is not None:
            news.append(Text("a question is open; `label` goes there", "bold"))
        if news:
            await self._show(*news)

    async def _show(self, *parts: RenderableType) -> None:
        """Print above whatever has the terminal."""

        def draw() -> None:
            for part in parts:
                self._console.print(part)

        await run_in_terminal(draw)

    # --- questions, by keys ---

    async def _attend(self, question: QuestionView) -> None:
        """Give the terminal to a question until it is answered, closed or left."""
        self._attended.add(question.question)
        try:
            now = {one.question: one for one in await asyncio.to_thread(self._visitor.questions)}
            if question.question not in now:
                return  # closed meanwhile, as the news will tell
            if self._taken_away and not await self._is_ready(now[question.question]):
                return
            session = await self._through(now[question.question])
        except RemoteError as error:  # the cluster is there, but has no images or no story to give
            await self._show(Text(f"{question.question} cannot be shown: {error}", "bold"))
            return
        self._taken_away = session.taken_away
        await self._show(Text(summary(session), "bold"))
        await self._show_news()
        if session.leaving:
            raise EOFError
        if session.dropped:  # Ctrl-C: to the prompt, whatever else is asked
            self._attended |= set(self._questions)

    async def _is_ready(self, question: QuestionView) -> bool:
        """Whether the person goes on to a question that has come up while keys were meant for another."""
        text = f"The question before is closed. Enter goes on to the next: {question.question}" + (
            f", {len(question.items)} images to label" if question.items else ""
        )
        self._gate = gate(text)
        try:
            ready = await self._gate.run_async() == "ready"
            if not ready:
                self._attended.discard(question.question)  # the cluster took the line away; the person has said nothing
        except KeyboardInterrupt:
            self._attended |= set(self._questions)
            return False
        finally:
            self._gate = None
        self._taken_away = not ready
        return ready

    async def _through(self, question: QuestionView) -> KeySession:
        session: KeySession
        if question.kind == "choice":
            story = await asyncio.to_thread(self._visitor.story, question.incident)
            await self._show(*(Text(row) for row in choice_text(question, story, self._console.width)))
            session = choice = ChoiceSession(question)
            await self._by_keys(session, lambda _columns, _rows: choice_screen(choice))
        else:
            left = [seq for seq in question.items if seq not in question.answers]
            shown = [seq for seq in question.items if seq in left or seq in question.repeats]
            await self._show(Text(f"question {question.question}: {len(left)} images to label; q leaves them for later", "bold"))
            images = await asyncio.to_thread(self._visitor.images, shown, question.question)
            session = labels = LabellingSession(question, self._name)
            viewing = Viewing(labels, images, self._visitor, self._graphics)
            drawing, features = drawing_for(self._console), self._visitor.features

            def draw(columns: int, rows: int) -> RenderableType:
                beside = viewing.look()
                return label_screen(labels, viewing.image, columns, rows, drawing, features, beside, above=viewing.above)

            await self._by_keys(session, draw, viewing)
        return session

    async def _write(self, text: str) -> None:
        """Put text with a picture in it above whatever has the terminal, as it is."""

        def put() -> None:
            self._console.file.write(text)
            self._console.file.flush()

        await run_in_terminal(put)

    async def _by_keys(self, session: KeySession, draw: Callable[[int, int], RenderableType], viewing: Viewing | None = None) -> None:
        pressed: asyncio.Queue[str] = asyncio.Queue()
        def interrupted() -> None:
            session.drop()
            session.dropped = True

        self._app, self._keys = key_app(pressed, draw, self._console, interrupted), session
        hands = asyncio.create_task(self._hand_in(session, pressed, self._app))
        beside = [hands]
        if viewing is not None:
            beside.append(asyncio.create_task(viewing.keep_up(lambda: self._console.width, self._write, self._app.invalidate)))
        try:
            await self._app.run_async()
            if self.reason is None:
                pressed.put_nowait("")  # ends the hands, after what they are at
                await hands
        finally:
            self._app = self._keys = None
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _hand_in(self, session: KeySession, pressed: "asyncio.Queue[str]", app: Application[str]) -> None:
        """Feed keys to the session and its offers to the desk, one after the other, so that they arrive in order."""
        try:
            while session.state in ("asking", "confirming"):
                key = await pressed.get()
                if not key:
                    return
                offers = session.leave() if key == LEAVE else session.press(key)
                session.leaving = key == LEAVE
                app.invalidate()
                for offer in offers:
                    await self._offer(session, offer)
                    app.invalidate()
        finally:
            if app.is_running and not app.is_done:
                app.exit(result="")

    async def _offer(self, session: KeySession, offer: Offer) -> None:
        question = session.question.question
        said = AnswerOffered(id="", question=question, answer=offer.answer, by=self._name, seq=offer.seq, amend=offer.amend)
        label = Label(offer.seq, None, self._name)
        became = (LabelGiven(id="", question=question, label=label), LabelAmended(id="", question=question, label=label, before=label))
        self._own |= {line(said), *(line(one) for one in became)}
        try:
            refused = await asyncio.to_thread(self._visitor.answer, question, offer.answer, self._name, offer.seq, amend=offer.amend)
        except RemoteError as error:
            refused = str(error)
        if refused:
            session.refused(offer, refused)

    def _tell_keys(self, lines: Iterable[str]) -> None:
        """Let the question that has the terminal know what became of it."""
        session = self._keys
        if session is None:
            return
        name = session.question.question
        if name in self._questions:
            session.update(self._questions[name])
        for outcome in ENDINGS:
            if line(QuestionClosed(id="", question=name, outcome=outcome)) in lines:
                session.close(outcome)
        if session.state in ("done", "left"):
            self._leave_keys()
        elif self._app is not None:
            self._app.invalidate()

    def _leave_keys(self) -> None:
        if self._gate is not None and self._gate.is_running and not self._gate.is_done:
            self._gate.exit(result="")
        if self._keys is not None and self._app is not None and self._app.is_running and not self._app.is_done:
            self._app.exit(result="")


def _history(file: Path | None) -> History:
    return FileHistory(file) if file is not None and os.access(file.parent, os.W_OK) else InMemoryHistory()
