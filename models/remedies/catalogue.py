"""All remedies by name: those of this package and those that other packages register under the entry point group `scanflow.remedies`."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from types import MappingProxyType

from models.remedies import filter as filter_
from models.remedies import fine_tune, nothing, recalibrate, retrain, transfer
from models.remedies.context import Prepare

GROUP = "scanflow.remedies"

_OWN: Mapping[str, Prepare] = {
    "nothing": nothing.prepare,
    "recalibrate": recalibrate.prepare,
    "transfer": transfer.prepare,
    "filter": filter_.prepare,
    "fine_tune": fine_tune.prepare,
    "retrain": retrain.prepare,
}


def remedies() -> Mapping[str, Prepare]:
    """Return every known remedy, cheapest first; a plug-in cannot replace one of ours.

    Raises
    ------
    ValueError
        When a plug-in takes a name that is in use.

    >>> list(remedies())[:3]
    ['nothing', 'recalibrate', 'transfer']
    """
    found = dict(_OWN)
    for point in entry_points(group=GROUP):
        if point.name in found:
            raise ValueError(f"{point.value} registers a remedy {point.name!r}, a name in use; choose another in its entry points")
        found[point.name] = point.load()
    return MappingProxyType(found)
