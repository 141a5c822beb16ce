"""What open pages are told without asking: server-sent events, made once for all who watch.

One thread waits for the board to change and renders; each open page gets the same bytes. A page that cannot follow skips what it missed,
since each message says how things stand, not what changed. So watchers cost the agents nothing but one waiting thread.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress

from agents.board import Board

GAP = 0.2  # seconds between two messages at least; the first change after a pause is told at once, but for
SETTLE = 0.02  # seconds in which the agents end what they are at: drawing beside them would slow them down
BEAT = 0.5  # seconds from one look after other things to the next, where no news comes between
ALIVE = 15.0  # seconds without news after which a comment shows that the line still stands

Frames = Mapping[str, bytes]


def event(data: str, name: str = "") -> bytes:
    r"""One server-sent event. Format: WHATWG HTML, section 9.2.

    >>> event("two\nlines", "news")
    b'event: news\ndata: two\ndata: lines\n\n'
    """
    head = f"event: {name}\n" if name else ""
    return (head + "".join(f"data: {line}\n" for line in data.splitlines() or [""]) + "\n").encode()


class Live:
    """Tells every subscriber how things stand, from `start` to `close`.

    Parameters
    ----------
    board : whose changes are told.
    render : makes the messages by topic, each an `event`. Called in a thread of its own.
    beat : called at every round, for what has to be looked after now and then.
    """

    def __init__(self, board: Board, render: Callable[[], Frames], beat: Callable[[], object] = lambda: None) -> None:
        self._board, self._render, self._beat = board, render, beat
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="web-live", daemon=True)
        self._news = asyncio.Event()
        self._frames: Frames = {}
        self.loop: asyncio.AbstractEventLoop | None = None
        self.started = threading.Event()

    def start(self) -> None:
        """Begin to watch; called from the loop that serves."""
        self.loop = asyncio.get_running_loop()
        self._frames = self._render()
        self._thread.start()
        self.started.set()

    def close(self) -> None:
        """End all streams and the thread; called from the loop that serves."""
        self._stop.set()
        self._board.wake()
        self._publish(self._frames)

    def join(self, timeout: float) -> None:
        """Wait until the thread has ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout)

    async def stream(self, topics: frozenset[str]) -> AsyncIterator[bytes]:
        """How things stand in these topics: at once, and whenever that changes."""
        sent: dict[str, bytes] = {}
        while not self._stop.is_set():
            news = self._news
            new = {topic: frame for topic, frame in self._frames.items() if topic in topics and sent.get(topic) != frame}
            if new:
                sent |= new
                yield b"".join(new.values())
            try:
                await asyncio.wait_for(news.wait(), ALIVE)
            except TimeoutError:
                yield b": still here\n\n"

    def _publish(self, frames: Frames) -> None:
        self._frames = frames
        before, self._news = self._news, asyncio.Event()
        before.set()

    def _watch(self) -> None:
        assert self.loop is not None
        seen, last = -1, self._frames
        while not self._stop.is_set():
            self._beat()
            board, known = self._board, seen
            if not board.wait_for(lambda: board.changes != known or self._stop.is_set(), BEAT):  # noqa: B023 - called before the loop goes on
                continue
            if self._stop.is_set():
                break
            self._stop.wait(SETTLE)
            seen = board.changes
            frames = self._render()
            if frames != last:  # not `self._frames`: the loop may not have taken over the ones before yet
                last = frames
                with suppress(RuntimeError):  # the loop has ended: nobody is there to be told
                    self.loop.call_soon_threadsafe(self._publish, frames)
            self._stop.wait(GAP)
