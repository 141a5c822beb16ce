"""What is known of accuracy in an incident: on clean data before, on drifted data without and with labels, and with the remedy that was chosen."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from agents.messages import HarmAssessed, Message, RemediesMeasured, RemedyChosen, RemedyVerified, WindowAnalysed

TELLING = (WindowAnalysed, HarmAssessed, RemediesMeasured, RemedyChosen)  # messages by which something becomes known


class Known(NamedTuple):
    """An accuracy with its interval, all in [0, 1], and how it is known; on clean data the interval is the value itself."""

    name: str
    value: float
    low: float
    high: float
    how: Literal["clean", "estimated", "measured", "mended"]


def known_accuracy(story: Sequence[Message]) -> list[Known]:
    """Before, during and after, in this order; of each only what the newest messages of the story tell."""
    seen = next((one for one in reversed(story) if isinstance(one, WindowAnalysed)), None)
    harm = next((one for one in reversed(story) if isinstance(one, HarmAssessed) and one.audit), None)
    measured = next((one for one in reversed(story) if isinstance(one, RemediesMeasured)), None)
    chosen = next((one for one in reversed(story) if isinstance(one, RemedyChosen)), None)
    rows = []
    if seen:
        rows.append(Known("clean data", seen.clean_accuracy, seen.clean_accuracy, seen.clean_accuracy, "clean"))
        rows.append(Known("drifted, estimated without labels", seen.estimated_accuracy, *seen.estimate_range, "estimated"))
    if harm:
        count = f"{len(harm.audit)} label{'' if len(harm.audit) == 1 else 's'}"
        rows.append(Known(f"drifted, measured with {count}", harm.accuracy, *harm.interval, "measured"))
    if measured and chosen:
        rows += [
            Known(f"drifted, with {one.name.replace('_', ' ')}", one.accuracy_drift, *one.interval, "mended")
            for one in measured.remedies if one.name == chosen.remedy
        ]  # fmt: skip
    return rows


def verified_gain(story: Sequence[Message]) -> RemedyVerified | None:
    """What fresh labels said of the remedy once it was live."""
    return next((one for one in reversed(story) if isinstance(one, RemedyVerified)), None)
