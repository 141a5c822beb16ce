"""Scripted people: they answer as a person would, from the true labels that nothing else in the system may see."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

NONE_OF_THESE: Final = "none of these"
UNSURE: Final = "unsure"
EXPECTED: Final = "expected"
_YES: Final = ("approve", "yes")


class ScriptedPerson:
    """Answers questions about records from their true labels, with a settable delay and error rate.

    Parameters
    ----------
    labels : true label of each sequence number, as a mapping or a function that raises KeyError for one it does not know.
    classes : names of the classes that the classifier knows; a true label outside of them is answered "none of these".
    delay : seconds that this person takes for an answer. Only a number: whoever asks schedules the answer that much later.
    error_rate : share of images, in [0, 1], that this person gets wrong, with a wrong class drawn evenly. Asked twice about one image,
        the answer is the same.
    seed : of the errors.
    expected : whether this person knows of the change and says so when asked about the incident.
    unknown : true labels that the classifier does not know, beside those outside of `classes`.

    Examples
    --------
    >>> person = ScriptedPerson({1: 7, 2: -1}, classes=tuple("0123456789"))
    >>> person.label(1), person.label(2), person.label(99)
    (7, 'none of these', 'unsure')
    >>> person.approve(["approve", "reject"], default="reject")
    'approve'
    """

    def __init__(
        self,
        labels: Mapping[int, int] | Callable[[int], int],
        classes: Sequence[str],
        delay: float = 0.0,
        error_rate: float = 0.0,
        seed: int = 0,
        expected: bool = False,
        unknown: frozenset[int] = frozenset(),
    ) -> None:
        if not 0 <= error_rate <= 1:
            msg = f"error_rate is a share in [0, 1]; got {error_rate}."
            raise ValueError(msg)
        if delay < 0:
            msg = f"delay is in seconds and not negative; got {delay}."
            raise ValueError(msg)
        self._true_label = labels if callable(labels) else labels.__getitem__
        self.classes, self.delay, self.error_rate, self.seed = tuple(classes), delay, error_rate, seed
        self.expected, self.unknown = expected, unknown

    def label(self, seq: int) -> int | str:
        """Say what the image of record `seq` shows: a class number, "none of these", or "unsure" about an image nobody labelled."""
        try:
            truth = self._true_label(seq)
        except KeyError:
            return UNSURE
        if truth in self.unknown or not 0 <= truth < len(self.classes):
            return NONE_OF_THESE
        draw = np.random.default_rng([self.seed, seq])
        if draw.random() >= self.error_rate:
            return int(truth)
        return (int(truth) + int(draw.integers(1, len(self.classes)))) % len(self.classes)

    def approve(self, options: Sequence[str], default: str) -> str:
        """Choose among a question's options: "expected" if this person expects the change, else approval, else the default."""
        wanted = (EXPECTED, *_YES) if self.expected else _YES
        return next((word for word in wanted if word in options), default)
