"""What other packages register under an entry-point group of ours."""

from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points


def registered(group: str, kind: str, own: Collection[str]) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name; `kind` is what they register, such as "remedy". Raises ValueError for a name in use.

    >>> registered("scanflow.nothing", "nothing", ())
    {}
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        if point.name in own or point.name in found:
            raise ValueError(f"{point.value} registers a {kind} {point.name!r}, a name in use; choose another in its entry points")
        found[point.name] = point
    return found
