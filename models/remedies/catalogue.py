"""All remedies by name: those of this package and those that other packages register under the entry point group `scanflow.remedies`.

The names alone come without loading a remedy, so also where PyTorch must not be imported.
"""

from collections.abc import Mapping
from importlib.metadata import EntryPoint
from types import MappingProxyType
from typing import TYPE_CHECKING

from models.plugins import registered

if TYPE_CHECKING:
    from models.remedies.context import Prepare

GROUP = "scanflow.remedies"
PRESENT = "nothing"  # the remedy that leaves everything as it is; every other one is compared with it
OWN = (
    PRESENT, "recalibrate", "transfer", "simulate", "filter_pairs", "filter", "fine_tune", "reweight", "harden", "retrain", "refit",
)  # cheapest first
UNTAUGHT = (PRESENT, "recalibrate", "filter_pairs")  # those of ours that a person's labels do not change


def names() -> tuple[str, ...]:
    """Return the name of every known remedy, cheapest first; nothing of them is loaded.

    Raises
    ------
    ValueError
        When a plug-in takes a name that is in use.

    >>> names()[:3]
    ('nothing', 'recalibrate', 'transfer')
    """
    return (*OWN, *_others())


def learns_from_labels(name: str) -> bool:
    """Whether labels that a person gives may make this remedy better; of those of other packages it is taken for granted.

    >>> [name for name in OWN if not learns_from_labels(name)]
    ['nothing', 'recalibrate', 'filter_pairs']
    """
    return name not in UNTAUGHT


def remedies() -> "Mapping[str, Prepare]":
    """Return every known remedy, cheapest first; a plug-in cannot replace one of ours.

    Raises
    ------
    ValueError
        When a plug-in takes a name that is in use.

    >>> list(remedies())[:3]
    ['nothing', 'recalibrate', 'transfer']
    """
    from models.remedies import filter as filter_
    from models.remedies import filter_pairs, fine_tune, harden, nothing, recalibrate, refit, retrain, reweight, simulate, transfer

    own = (nothing, recalibrate, transfer, simulate, filter_pairs, filter_, fine_tune, reweight, harden, retrain, refit)
    found: dict[str, Prepare] = {name: module.prepare for name, module in zip(OWN, own, strict=True)}
    return MappingProxyType(found | {name: point.load() for name, point in _others().items()})


def _others() -> dict[str, EntryPoint]:
    return registered(GROUP, "remedy", OWN)
