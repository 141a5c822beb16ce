"""All checks by name: those of this package and those that other packages register under the entry point group `scanflow.checks`.

The names alone come without loading a check. What is registered is a class (or anything with its `needs`) and is called as
`make(reference, **parameters)`.
"""

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint
from typing import Any

from models.plugins import registered
from models.reference import Reference
from models.weaknesses.check import Check

GROUP = "scanflow.checks"
OWN: Mapping[str, str] = {
    "drift": "models.weaknesses.drift:Drift", "decay": "models.weaknesses.decay:Decay", "bias": "models.weaknesses.bias:Bias",
    "adversarial": "models.weaknesses.adversarial:Adversarial", "unknown_class": "models.weaknesses.unknown_class:UnknownClass",
    "quality": "models.weaknesses.quality:Quality",
}  # fmt: skip
Make = Callable[..., Check]


def names() -> tuple[str, ...]:
    """Return the name of every known check; nothing of them is loaded. Raises ValueError when a plug-in takes a name in use.

    >>> names()[:3]
    ('drift', 'decay', 'bias')
    """
    return (*OWN, *_others())


def maker(name: str) -> Make:
    """Return what makes the check of this name. Raises KeyError when there is none."""
    if name in OWN:
        module, _, attribute = OWN[name].partition(":")
        made: Make = getattr(import_module(module), attribute)
        return made
    loaded: Make = _others()[name].load()
    return loaded


def make(name: str, reference: Reference, parameters: Mapping[str, Any] | None = None) -> Check:
    """Make a check; parameters are as in its documentation.

    Raises
    ------
    KeyError
        When there is no check of this name.
    ValueError, TypeError
        When it refuses a parameter.

    >>> from models.weaknesses.synthetic import labelled_reference
    >>> make("decay", labelled_reference(), {"tolerance": 0.05}).kind
    'decay'
    """
    return maker(name)(reference, **(parameters or {}))


def parameters(name: str) -> tuple[str, ...]:
    """Return the names of the parameters that a check takes.

    >>> parameters("quality")
    ('window', 'blank', 'repeated', 'refused', 'in_a_row')
    """
    kinds = (inspect.Parameter.KEYWORD_ONLY,)
    return tuple(name for name, one in inspect.signature(maker(name)).parameters.items() if one.kind in kinds)


def needs(name: str) -> frozenset[str]:
    """Return what a check needs of its records, beside answers and features.

    >>> sorted(needs("quality"))
    ['facts']
    """
    found: frozenset[str] = maker(name).needs  # type: ignore[attr-defined]  # a maker is the class, or says so as it does
    return found


def remedies(name: str) -> tuple[str, ...]:
    """Return the remedies that a check names as its own; none where it leaves them to the policy, or to a person.

    >>> remedies("bias"), remedies("decay")
    (('reweight', 'retrain'), ())
    """
    return getattr(maker(name), "remedies", None) or ()


def _others() -> dict[str, EntryPoint]:
    return registered(GROUP, "check", OWN)
