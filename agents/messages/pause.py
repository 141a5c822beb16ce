"""Pausing remedies, by a person's word."""

from agents.messages.core import Message


class Paused(Message, frozen=True, kw_only=True):
    """`by` wants nothing new to be prepared, deployed or asked until `Resumed`.

    Drift is looked for and incidents are opened as ever, questions that are open stay so, what is in work is finished, and the way back to the
    pipeline before stays open.
    """

    by: str
    reason: str = ""


class Resumed(Message, frozen=True, kw_only=True):
    """`by` lets remedies go on; what was held back is said now."""

    by: str
