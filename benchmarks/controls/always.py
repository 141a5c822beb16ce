"""Policies that never think: the same remedy at every alarm, without a question, a measurement or a choice.

What the agents add is what the loop gains over the best of these: a loop that does not beat "always filter" has chosen for nothing.
"never act" is the model as it is, "recalibration alone" the strongest cheap remedy that needs no label.

The other half of a remedy that is not its own merit is which images a person labelled for it: `taught` lets a query choose them, the
product's (`typical`) or, as the control, chance (`random`).

Settles, B. (2009). Active learning literature survey. University of Wisconsin-Madison. (Random picks as the baseline to beat.)
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.queries.typical import typical
from models.remedies.catalogue import remedies
from models.remedies.context import Candidate, RemedyContext
from models.training import look

Rows = NDArray[np.int64]

ALWAYS: Mapping[str, str] = MappingProxyType({
    "never act": "nothing", "recalibration alone": "recalibrate", "always filter": "filter", "always fine-tune": "fine_tune",
    "always retrain": "retrain",
})
"""Policies, and the remedy that each takes at every alarm."""


class Query(Protocol):
    """Chooses `count` rows of features [n, d], as the functions in `models.queries` do."""

    def __call__(self, features: ArrayLike, count: int, seed: int) -> Rows: ...


def act(policy: str, context: RemedyContext) -> Candidate:
    """Do what a policy in `ALWAYS` does at an alarm, whatever the evidence.

    Raises
    ------
    ValueError : there is no such policy.
    """
    if policy not in ALWAYS:
        raise ValueError(f"no policy {policy!r}; there are: {', '.join(ALWAYS)}")
    return remedies()[ALWAYS[policy]](context)


def taught(context: RemedyContext, count: int, answer: Callable[[Rows], Rows], query: Query = typical) -> RemedyContext:
    """Return the context after a person has labelled `count` of the drifted images that `query` chose.

    Parameters
    ----------
    context : its own teaching labels, if any, are replaced.
    answer : a person's labels, int64, of rows of `context.drifted`.
    query : `models.queries.typical.typical` as the product does, `models.queries.random.random` as the control.
    """
    seen = look(context.classifier, context.drifted)
    rows = query(context.reference.features(seen.early.numpy(), seen.latent.numpy()), count, context.seed)
    return replace(context, teaching=rows, teaching_labels=answer(rows))
