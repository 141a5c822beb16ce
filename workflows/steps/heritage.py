"""What a new pipeline takes over from the one that it is made from: routes, known drifts, and exemplars of earlier drifts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from models.exemplars import MOST_DRIFTS, Exemplars
from models.networks.any_classifier import AnyClassifier
from models.networks.route import RouteModules
from models.reference import Reference
from models.training import look

MOST_ROUTES = 4
"""An image may have to pass the gate of every route, and each route's networks are held in memory: their number is bounded."""


@dataclass(frozen=True, eq=False)
class Heritage:
    """What is known of earlier drifts: `routes` oldest first, drifts of the `reference`, `exemplars` by the name of their drift."""

    routes: tuple[RouteModules, ...]
    reference: Reference
    exemplars: Mapping[str, Exemplars]

    def joined_by(self, routes: tuple[RouteModules, ...]) -> tuple["Heritage", tuple[str, ...]]:
        """Return the heritage of a pipeline to which a remedy adds routes (for the drift that is made known next), and notes on what went.

        The oldest go where there are too many, and all of them before a route without a gate, which takes every image. What a route knew
        goes with it: its drift is no longer known, so that it is found and mended anew should it return.
        """
        heritage, notes = self, []
        while heritage.routes and routes and (len(heritage.routes) + len(routes) > MOST_ROUTES or routes[0].gate is None):
            notes.append(f"the route for {heritage.routes[0].drift} fell away: should that drift return, it will be found anew")
            heritage = heritage._without_oldest()
        new = f"drift{len(heritage.reference.drifts)}"
        return replace(heritage, routes=(*heritage.routes, *(route._replace(drift=new) for route in routes))), tuple(notes)

    def replaced_by(self, classifier: AnyClassifier, reference: Reference) -> "Heritage":
        """Return the heritage of a pipeline with a new classifier, given its own reference of clean data.

        Gates and adapted networks were made for the features of the old one, so routes go; drifts are known by their exemplars.
        """
        kept = list(self.exemplars.values())[-(MOST_DRIFTS - 1) :]
        for one in kept:
            answer = look(classifier, one.images)
            reference = reference.with_component(answer.early.numpy(), answer.latent.numpy())
        return Heritage((), reference, {f"drift{number}": one for number, one in enumerate(kept)})

    def _without_oldest(self) -> "Heritage":
        oldest, *others = self.routes
        if oldest.drift is None:
            return replace(self, routes=tuple(others))
        gone = _number(oldest.drift)

        def renamed(drift: str) -> str:
            number = _number(drift)
            return f"drift{number - (number > gone)}"

        return Heritage(
            tuple(route._replace(drift=route.drift and renamed(route.drift)) for route in others), self.reference.without(oldest.drift),
            {renamed(drift): one for drift, one in self.exemplars.items() if drift != oldest.drift},
        )


def _number(drift: str) -> int:
    """Number of a known drift.

    >>> _number("drift12")
    12
    """
    found = re.fullmatch(r"drift(\d+)", drift)
    if found is None:
        raise ValueError(f"{drift!r} names no known drift; they are named drift0, drift1 and so on")
    return int(found[1])
