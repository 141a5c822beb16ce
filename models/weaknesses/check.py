"""The contract of a check: it is shown records, in order and each once, and says how much speaks for one kind of weakness.

A check keeps state, draws nothing at random and reads no clock: stopped and restored at any record it goes on as if nothing had been. Where
it sounds an alarm, how often it does so on clean records is bounded, by a rule that its documentation names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

FACTS = ("digest", "lowest", "highest", "spread")
"""What is told of a picture without showing it; see `models.weaknesses.quality.facts_of`."""

NEEDS = ("truth", "facts", "images")
"""What a check may name in `needs`. All else, answers and features, is there of every record."""


class MissingColumnError(ValueError):
    """A check was given records without something that it needs; the text says what, and where it comes from."""


@dataclass(frozen=True, eq=False)
class Records:
    """n records as the container logged them, oldest first, and what has become known of them since.

    A check that needs true labels is given a record when its label has come; any other one, when it was answered.

    Attributes
    ----------
    seqs : int64 [n], their numbers.
    labels : int64 [n], the classes that were answered.
    logits : float32 [n, k]; early : float32 [n, e]; latent : float32 [n, d], of the raw image through the live model version.
    routed : bool [n], whether a route answered; none did if left out.
    time : float64 [n], UTC seconds of the answer; 0 if left out.
    truth : int64 [n], true labels, which came later and from elsewhere; None where they are not known.
    slices : by attribute (say "scanner"), str [n]: to which slice of the traffic each record belongs.
    facts : float64 [n, 4], see `FACTS`; images : uint8 [n, h, w] or [n, h, w, 3]; None where they are not known.
    refused : requests that the service refused since the records before, for images of a wrong shape, type or range.

    Raises
    ------
    ValueError
        when the columns are not equally long.
    """

    seqs: NDArray[np.int64]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32] = field(repr=False)
    early: NDArray[np.float32] = field(repr=False)
    latent: NDArray[np.float32] = field(repr=False)
    routed: NDArray[np.bool_] | None = field(default=None, repr=False)
    time: NDArray[np.float64] | None = field(default=None, repr=False)
    truth: NDArray[np.int64] | None = field(default=None, repr=False)
    slices: Mapping[str, NDArray[np.str_]] = field(default_factory=dict, repr=False)
    facts: NDArray[np.float64] | None = field(default=None, repr=False)
    images: NDArray[np.uint8] | None = field(default=None, repr=False)
    refused: int = 0

    def __post_init__(self) -> None:
        for name, column in self._columns().items():
            if len(column) != len(self.seqs):
                raise ValueError(f"{name} has {len(column)} rows for {len(self.seqs)} records; give one for each record")

    def __len__(self) -> int:
        return len(self.seqs)

    def known(self, column: str) -> NDArray[Any]:
        """Return a column that some records lack. Raises `MissingColumnError`."""
        found: NDArray[Any] | None = getattr(self, column)
        if found is None:
            where = {
                "truth": "true labels come later, see `JoinLabels`", "facts": "make them with models.weaknesses.quality.facts_of(images)",
                "images": "they are in the service's ring of images",
            }  # fmt: skip
            raise MissingColumnError(f"these records have no {column}: {where[column]}. A check that names it in `needs` is given it")
        return found

    def part(self, start: int, stop: int) -> "Records":
        """Return the records at positions `start` to `stop`-1; refused requests stay with the first part."""
        names = {name: column[start:stop] for name, column in self._columns().items() if not name.startswith("slices.")}
        slices = {attribute: values[start:stop] for attribute, values in self.slices.items()}
        return replace(self, **names, slices=slices, refused=0 if start else self.refused)  # type: ignore[arg-type]  # by name

    def _columns(self) -> dict[str, NDArray[np.generic]]:
        names = ("seqs", "labels", "logits", "early", "latent", "routed", "time", "truth", "facts", "images")
        columns = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return columns | {f"slices.{attribute}": values for attribute, values in self.slices.items()}


@dataclass(frozen=True)
class Harm:
    """What a weakness costs, where the check itself has measured it with true labels: accuracies in [0, 1]."""

    accuracy: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Evidence:
    """How things stand after some records.

    Attributes
    ----------
    value : what speaks for the weakness, larger is more; on the scale of `alarm_line`.
    alarm_line : the value at which the alarm is raised.
    alarm : whether it was; it latches until `Check.reset`.
    since : number of the record with which it most likely began; at : of the one that raised the alarm. None without an alarm.
    sentence : what was seen, as a person would say it.
    details : the figures behind it.
    harm : what it costs, if the check can tell; in `slice`, if there is one.
    slice : the part of the traffic that fares worse, such as "site=south"; empty where it is all of it.
    """

    value: float
    alarm_line: float
    alarm: bool
    since: int | None
    at: int | None
    sentence: str
    details: Mapping[str, float] = field(default_factory=dict)
    harm: Harm | None = None
    slice: str = ""


class Check(Protocol):
    """Watches records for one kind of weakness. It is made of a reference and parameters, all of which have defaults."""

    name: ClassVar[str]
    """As in the policy and in the entry point."""
    kind: ClassVar[str]
    """Of the incidents that it opens: "decay", "bias", "adversarial", ..."""
    needs: ClassVar[frozenset[str]]
    """Which of `NEEDS` its records must have."""
    remedies: ClassVar[tuple[str, ...] | None]
    """Those that make sense for it; None leaves them to the policy, an empty tuple means that only a person can mend it."""
    advice: ClassVar[str]
    """What a person should do about it, where no remedy can."""

    def update(self, records: Records, /) -> Evidence:
        """Take records in order and say how things stand. A batch says the same as its records one by one."""
        ...

    @property
    def evidence(self) -> Evidence:
        """How things stand now."""
        ...

    def reset(self) -> None:
        """Forget the stream and any alarm."""
        ...

    def state(self) -> bytes:
        """Return all that is remembered; bounded, whatever the length of the stream."""
        ...

    def restore(self, state: bytes, /) -> None:
        """Go on from a state. Raises ValueError when the bytes are damaged or of another design."""
        ...
