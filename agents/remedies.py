"""Which of the remedies asked for a model can have, where it is known beforehand what it cannot; see `models.remedies.possible`."""

from collections.abc import Iterable, Mapping

STEAD = {"filter": "filter_pairs", "retrain": "refit"}  # what takes the place of a remedy that a model cannot have


def sort_out(asked: Iterable[str], impossible: Mapping[str, str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the remedies to try, and the reasons against the others.

    What cannot be learned through the classifier is replaced: a filter by one that is learned from pairs, retraining by the owner's code.

    >>> sort_out(["recalibrate", "filter", "fine_tune"], {"recalibrate": "no batch norm", "filter": "no gradients", "harden": "no weights"})
    (('filter_pairs', 'fine_tune'), {'recalibrate': 'no batch norm', 'filter': 'no gradients'})
    """
    wanted = dict.fromkeys(name for one in asked for name in ((one, STEAD[one]) if one in impossible and one in STEAD else (one,)))
    return tuple(one for one in wanted if one not in impossible), {one: impossible[one] for one in wanted if one in impossible}
