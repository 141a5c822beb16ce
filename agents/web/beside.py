"""What stands beside a record's image: its nearest clean images, and what filters make of it. Worked out once, and for the next image ahead."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from agents.doors.gallery import Neighbour
from agents.messages import AskLabels, Message
from agents.reception import Filtered, Images, Reception

KEPT = 512  # records whose surroundings are kept at hand
STRIP = 6  # records of a decision's strip


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Of one record. `of` is the pipeline in whose latent space the neighbours are near."""

    of: str
    neighbours: tuple[Neighbour, ...]
    filtered: tuple[Filtered, ...]


@dataclass(frozen=True)
class Strip:
    """One row of pictures of a decision: addresses with their words, one for each record; empty where there is none."""

    name: str
    pictures: tuple[tuple[str, str], ...]


class Beside:
    """Surroundings by record, safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], Surroundings] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, reception: Reception, incident: str, seq: int, image: NDArray[Any] | None = None) -> Surroundings:
        """What stands beside a record of an incident. `image`: the record's own, for who has it at hand."""
        live, board = reception.board.live(), reception.board
        key = (incident, seq, live, *board.prepared(incident))
        with self._lock:
            found = self._kept.get(key)
        if found is None:
            shown = reception.kept(incident, [seq]).get(seq) if image is None else image
            found = Surroundings(live, (), ())
            if shown is not None:
                found = Surroundings(live, reception.neighbours(seq, image=shown), reception.filtered(seq, incident, image=shown))
            with self._lock:
                self._kept[key] = found
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
        return found

    def ahead(self, reception: Reception, incident: str, seqs: Iterable[int], images: Images) -> None:
        """Work out what the next images need, while a person looks at this one."""
        for seq in seqs:
            if seq in images:
                self.of(reception, incident, seq, images[seq])

    def strips(self, reception: Reception, incident: str, messages: Sequence[Message]) -> tuple[Strip, ...]:
        """Some records that people were asked about: their nearest clean images, as they came, and as each filter makes them."""
        asked = [seq for one in reversed(messages) if isinstance(one, AskLabels) for seq in one.items]
        images = {seq: image for seq, image in reception.kept(incident, list(dict.fromkeys(asked))[: 4 * STRIP]).items() if image.ndim > 1}
        seqs = [seq for seq in dict.fromkeys(asked) if seq in images][:STRIP]
        around = {seq: self.of(reception, incident, seq, images[seq]) for seq in seqs}
        if not any(one.filtered for one in around.values()):
            return ()
        clean = tuple(_nearest(around[seq]) for seq in seqs)
        came = tuple((f"/incident/{incident}/image/{seq}", f"record {seq}") for seq in seqs)
        made = dict.fromkeys((one.pipeline, called(one)) for seq in seqs for one in around[seq].filtered)
        filtered = [
            Strip(name, tuple((f"/incident/{incident}/filtered/{seq}?by={pipeline}", f"record {seq}, by {name}") for seq in seqs))
            for pipeline, name in made
        ]
        return (*([Strip("nearest clean", clean)] if any(address for address, _ in clean) else []), Strip("as it came", came), *filtered)


def called(one: Filtered) -> str:
    """What a filter is called on the page."""
    return "live filter" if one.live else one.remedy.replace("_", " ")


def _nearest(around: Surroundings) -> tuple[str, str]:
    first = next(iter(around.neighbours), None)
    return ("", "") if first is None else (f"/clean/{first.row}?of={around.of}", f"a clean {first.name}")
