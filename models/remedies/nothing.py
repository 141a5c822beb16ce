"""Do nothing: the control that every other remedy has to beat."""

from models.remedies.context import Candidate, RemedyContext


def prepare(context: RemedyContext) -> Candidate:
    """Leave the live pipeline as it is.

    A drift that costs nothing needs no remedy, and a remedy that is no better than this one costs latency and trust for nothing.

    Parameters
    ----------
    context : looked at only to honour a cancellation.

    References
    ----------
    Rule 7 of the design: drift may start a remedy; it is no evidence that the remedy is better.
    """
    context.report(1.0, "nothing to prepare")
    return Candidate("nothing", notes=("the live classifier answers as before",))
