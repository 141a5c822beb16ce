"""What a person sees of the images of one question: each with the clean images that the model finds most alike, found while they look."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from agents.graphics import Graphics, shown
from agents.labelling import LabellingSession
from agents.pictures import Named
from agents.visitor import Visitor
from workflows.serving.wire import RemoteError


class Viewing:
    """The images of a question, and what stands beside them.

    Parameters
    ----------
    session : whose item is looked at.
    images : by record; rows of tables have nothing beside them.
    visitor : finds the clean images.
    graphics : how pixels are drawn, where the terminal can; else characters are, by who draws the screen.
    """

    def __init__(self, session: LabellingSession, images: Mapping[int, NDArray[Any]], visitor: Visitor, graphics: Graphics | None) -> None:
        self._session, self.images, self._visitor, self._graphics = session, images, visitor, graphics
        self.beside: dict[int, list[Named]] = {}
        self._at: int | None = None
        self._drawn: int | None = None
        self._moved = asyncio.Event()

    @property
    def image(self) -> NDArray[Any] | None:
        """The image to label now, where it is kept."""
        return None if self._session.item is None else self.images.get(self._session.item)

    @property
    def above(self) -> bool:
        """Whether it is drawn in pixels, above what else is shown."""
        return self._graphics is not None and self.image is not None and self.image.ndim > 1

    def look(self) -> list[Named]:
        """What stands beside the image now; called whenever the screen is drawn."""
        item = self._session.item
        if item != self._at:
            self._at = item
            self._moved.set()
        return self.beside.get(item, []) if item is not None else []

    async def keep_up(self, columns: Callable[[], int], write: Callable[[str], Awaitable[None]], invalidate: Callable[[], None]) -> None:
        """Find what stands beside each image as it comes, and beside the next one ahead; until cancelled.

        `columns` tells the room, `write` puts text above the screen, `invalidate` has the screen drawn again.
        """
        while True:
            await self._moved.wait()
            self._moved.clear()
            item = self._session.item
            if item is None:
                continue
            await self._find(item)
            image = self.images.get(item)
            if self._graphics is not None and image is not None and image.ndim > 1 and item == self._session.item != self._drawn:
                self._drawn = item
                named = [Named(f"record {item}", image), *(Named(f"clean {one.name}", one.image) for one in self.beside[item])]
                await write(shown(named, self._graphics, columns()))
            invalidate()
            items = self._session.question.items
            following = items[items.index(item) + 1 :]
            if following:
                await self._find(following[0])

    async def _find(self, item: int) -> None:
        if item in self.beside:
            return
        image = self.images.get(item)
        question = self._session.question.question
        try:
            self.beside[item] = await asyncio.to_thread(self._visitor.neighbours, item, question) if image is not None and image.ndim > 1 else []
        except RemoteError:  # nothing to compare with: the image is labelled all the same
            self.beside[item] = []
