"""Where pipelines differ, and which records to label there: drawn at random within strata, with their weights."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.messages import Draw

MOST_DRAWS = 10  # per record asked for, where strata are small
MODELS, REMEDIES = "model differs", "remedies differ"
Said = dict[str, NDArray[np.int64]]


class Differences(NamedTuple):
    """Of a set of records: the share of each stratum among them, what is drawn, and how often others say what a pipeline says."""

    share: dict[str, float]
    draws: tuple[Draw, ...]
    confidence: dict[str, float]


def differences(seqs: NDArray[np.int64], said: Said, baseline: str, candidates: Sequence[str], audit: int, seed: int) -> Differences:
    """Draw `audit` of the records `seqs` [n], on which the pipelines have `said` [n] each, where they differ.

    >>> said = {"old": np.array([0, 0, 1, 1]), "new": np.array([0, 0, 1, 2])}
    >>> found = differences(np.arange(1, 5), said, "old", ["new"], audit=3, seed=0)
    >>> found.share, [draw.seq for draw in found.draws]
    ({'model differs': 0.25}, [4])
    """
    strata = _strata(said, baseline, candidates)
    return Differences({name: float(inside.mean()) for name, inside in strata.items()}, _draw(seqs, said, strata, audit, seed), _votes(said, strata))


def _strata(said: dict[str, NDArray[np.int64]], baseline: str, candidates: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Where the candidates differ among themselves, and where they agree with each other but not with the baseline."""
    first = said[candidates[0]]
    unlike = np.any([said[name] != first for name in candidates], axis=0)
    strata = {REMEDIES: unlike, MODELS: ~unlike & (said[baseline] != first)}
    return {name: inside for name, inside in strata.items() if inside.any()}


def _draw(
    seqs: NDArray[np.int64], said: dict[str, NDArray[np.int64]], strata: dict[str, NDArray[np.bool_]], count: int, seed: int
) -> tuple[Draw, ...]:
    """Draw until `count` different records are drawn: a stratum with equal chances, then one of its records, with replacement."""
    rng = np.random.default_rng(seed)
    inside = {name: np.flatnonzero(rows) for name, rows in sorted(strata.items())}
    names, drawn, stratum_of = list(inside), dict[int, tuple[int, ...]](), dict[int, str]()
    for number in range(MOST_DRAWS * count if names else 0):
        stratum = names[int(rng.integers(len(names)))]
        at = int(rng.choice(inside[stratum]))
        drawn[at] = (*drawn.get(at, ()), number)
        stratum_of[at] = stratum
        if len(drawn) == count:
            break
    return tuple(
        Draw(
            seq=int(seqs[at]), at=drawn[at], weight=float(strata[stratum_of[at]].mean()) * len(names), stratum=stratum_of[at],
            said={name: int(labels[at]) for name, labels in said.items()},
        )
        for at in drawn
    )


def _votes(said: dict[str, NDArray[np.int64]], strata: dict[str, NDArray[np.bool_]]) -> dict[str, float]:
    """How often the others say what a pipeline says, by stratum: who stands alone is more often wrong."""
    votes = {}
    for stratum, inside in strata.items():
        for name, labels in said.items():
            others = [said[other][inside] == labels[inside] for other in said if other != name]
            votes[f"{stratum}/{name}"] = float(np.mean(others))
    return votes
