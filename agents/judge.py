"""Does it hurt? What the audit labels of an incident say, beside the estimate without labels. Pure, as its checker is."""

from collections.abc import Sequence

from scipy.stats import binom

from agents.messages import Finding, Label, WindowAnalysed
from models.estimators.betting import BettingInterval

SUSPICIOUS = 0.2  # probability below which wrong answers are taken to be more than bad luck; what follows is checked by more labels


def asked(analysis: WindowAnalysed, finding: Finding | None) -> str:
    """What a person is told with the first question of an incident."""
    resembles = f"They resemble {analysis.likeness}. " if analysis.likeness and analysis.likeness.known else ""
    text = (
        f"The images since record {analysis.last - analysis.records + 1} look unlike the training data (KS {analysis.ks:.2f}). "
        f"Without labels I estimate accuracy {analysis.estimated_accuracy:.2f} ({analysis.estimate_range[0]:.2f} to "
        f"{analysis.estimate_range[1]:.2f}); "
        f"on clean data it was {analysis.clean_accuracy:.3f}. {resembles}What do these, drawn at random, show?"
    )
    return text if finding is None else f"{finding.sentence.capitalize()}. {text}"


class Judge:
    """Weighs the `audit` labels so far of an analysed window; a loss of accuracy up to `tolerance` is put up with.

    Attributes
    ----------
    right : for each label that names something, whether the model had said so.
    interval : anytime-valid interval of the accuracy on drifted records, by these labels.
    accuracy : point estimate, in [0, 1].
    """

    def __init__(self, analysis: WindowAnalysed, audit: Sequence[Label], tolerance: float) -> None:
        self._analysis = analysis
        self._needed = analysis.clean_accuracy - tolerance
        self.right = [label.label == analysis.predicted[label.seq] for label in audit if label.label is not None]
        interval, self.interval = BettingInterval(level=0.95), (0.0, 1.0)
        for right in self.right:
            self.interval = interval.update(float(right))
        self.accuracy = (sum(self.right) + 1) / (len(self.right) + 2) if self.right else analysis.estimated_accuracy

    @property
    def surely_hurts(self) -> bool:
        """Whether the labels alone settle that it hurts."""
        return self.interval[1] < self._needed

    def worth_teaching(self) -> bool:
        """Whether a label spoke against the model or, where none did, the estimate does by more than its error and no label belies it.

        Where the drift has a sure name, thousands of clean images, whose labels are known, are spoiled alike: a person's time is not for that.
        """
        analysis = self._analysis
        if analysis.likeness is not None and analysis.likeness.sure:
            return False
        at_most = analysis.estimated_accuracy + analysis.estimate_error
        return not all(self.right) or (bool(self.right) and self.interval[0] <= at_most < self._needed)

    def verdict(self) -> tuple[bool, str]:
        """Whether it is taken to hurt, and why."""
        analysis, (low, high) = self._analysis, self.interval
        wrong = len(self.right) - sum(self.right)
        # So many wrong answers are rare where accuracy is still what is needed: one of six at 0.98, three of six at 0.9.
        suspicious = wrong > 0 and binom.sf(wrong - 1, len(self.right), 1 - self._needed) < SUSPICIOUS
        # What is imitated is counted, so its error is one. An estimate from confidences alone has no error that could be relied on.
        sure = analysis.likeness is not None and analysis.likeness.sure
        estimated = analysis.estimate_range[1] if sure else analysis.estimated_accuracy
        harmful = bool(high < self._needed or suspicious or estimated < self._needed)
        reason = (
            f"{sum(self.right)} of {len(self.right)} audit labels agree with the model, so its accuracy is {low:.2f} to {high:.2f} by them, and "
            f"about {analysis.estimated_accuracy:.3f} as estimated without labels; on clean data it was {analysis.clean_accuracy:.3f}"
        )
        return harmful, reason
