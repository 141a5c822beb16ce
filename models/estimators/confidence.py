"""Accuracy without labels: what do the classifier's own answers say that drift has cost?

Three estimates from confidences, after temperature scaling on the calibration part, are averaged:

* average thresholded confidence (ATC) with the largest probability: a threshold is set so that the share of calibration records above it
  equals the calibration accuracy; the estimate is the share of new records above it;
* ATC with the negative entropy instead of the largest probability;
* difference of confidences (DoC): calibration accuracy minus the drop in mean confidence.

They assume that a confidence means after the change what it meant before. Drift that makes a model confidently wrong breaks that; it often
gives itself away by one class swallowing the others. If the mix of true classes is as in the calibration part, at least the total variation
distance between the two mixes of *answers* must be mistakes, so the estimate is cut to one minus that distance (less what chance explains).

Nothing in unlabelled data can show how far the assumptions fail. So the error is a sum of three parts: sampling (bootstrap over calibration
and new records), half the range of the three estimates, and, for the shift of the model itself, half of the estimated drop. It is a
warning with a size, not a guarantee: where it matters, ask for audit labels.

Garg, S., Balakrishnan, S., Lipton, Z., Neyshabur, B., Sedghi, H. (2022). Leveraging unlabeled data to predict out-of-distribution
performance. ICLR. Guillory, D. et al. (2021). Predicting with confidence on unseen distributions. ICCV. Guo, C. et al. (2017). On
calibration of modern neural networks. ICML.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

Floats = NDArray[np.float64]

_REPEATS = 200


@dataclass(frozen=True)
class Estimate:
    """An accuracy that was estimated, not counted."""

    value: float
    """Estimated accuracy, in [0, 1]."""
    error: float
    """Half width around `value` within which the accuracy is expected, in [0, 1]; see the module for what it is made of."""
    assumption: str
    """What must hold for value and error to mean anything, as a sentence for people."""


def estimate_accuracy(
    calibration_logits: ArrayLike, calibration_labels: ArrayLike, logits: ArrayLike, *, same_mix: bool = True, seed: int = 0
) -> Estimate:
    """Estimate the accuracy on unlabelled records from their logits.

    Parameters
    ----------
    calibration_logits : [n, k], of clean records that the model was not trained on.
    calibration_labels : int [n], their true labels.
    logits : [m, k], of the records in question; the classes in the same order.
    same_mix : whether to assume that the classes are as frequent as in the calibration part. Turn it off where the mix itself may move.
    seed : of the bootstrap; equal input gives equal output.

    Raises
    ------
    ValueError
        when shapes do not fit, or there is nothing to estimate from.

    Examples
    --------
    A model that is right 9 times in 10 when it is confident, and guesses when it is not:

    >>> rng = np.random.default_rng(0)
    >>> def draw(n, unsure):
    ...     labels, guesses = rng.integers(5, size=n), rng.random(n) < unsure
    ...     answers = np.where(rng.random(n) < np.where(guesses, 0.2, 0.9), labels, rng.integers(5, size=n))
    ...     return np.where(guesses, 0.1, 4.0)[:, None] * np.eye(5)[answers] + 0.1 * rng.normal(size=(n, 5)), labels
    >>> before, labels = draw(2000, unsure=0.1)
    >>> after, hidden = draw(1000, unsure=0.6)
    >>> estimate, truth = estimate_accuracy(before, labels, after), (after.argmax(1) == hidden).mean()
    >>> bool(abs(estimate.value - truth) <= estimate.error), estimate.value < 0.7
    (True, True)
    """
    known, new = np.asarray(calibration_logits, np.float64), np.asarray(logits, np.float64)
    labels = np.asarray(calibration_labels, np.int64)
    if known.ndim != 2 or new.ndim != 2 or known.shape[1] != new.shape[1] or len(labels) != len(known) or not (len(known) and len(new)):
        raise ValueError(
            f"logits have shape {new.shape}, calibration logits {known.shape}, calibration labels {labels.shape}; "
            "expected [m, k], [n, k] and [n] with the same k classes and at least one record each"
        )
    rng = np.random.default_rng(seed)
    right = known.argmax(1) == labels
    temperature = fit_temperature(known, labels)
    before, after = _confidences(known / temperature), _confidences(new / temperature)
    three = _estimates(before, right, after)
    repeats = [
        _estimates(before[:, i], right[i], after[:, j])
        for i, j in ((rng.integers(len(known), size=len(known)), rng.integers(len(new), size=len(new))) for _ in range(_REPEATS))
    ]
    value = float(three.mean())
    if same_mix:
        value = min(value, 1 - _moved_answers(known.argmax(1), new.argmax(1), known.shape[1], rng))
    value = min(max(value, 0.0), 1.0)
    sampling = 1.96 * float(np.mean(repeats, axis=1).std())
    error = sampling + float(np.ptp(three)) / 2 + 0.5 * max(float(right.mean()) - value, 0.0)
    mix = "the classes are as frequent as before" if same_mix else "nothing is assumed about how frequent the classes are"
    return Estimate(value, min(error, 1.0), f"A confidence means what it meant on clean data, up to half of the estimated drop; {mix}.")


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """Return the temperature by which to divide logits [n, k] so that their log-likelihood of labels [n] is largest (Guo et al. 2017).

    Examples
    --------
    Overconfident by a factor of five, right 80 times in 100:

    >>> labels = np.arange(100) % 2
    >>> answers = np.where(np.arange(100) < 80, labels, 1 - labels)
    >>> round(fit_temperature(5 * np.log(4) * np.eye(2)[answers], labels), 2)
    5.0
    """
    scores, rows = np.asarray(logits, np.float64), np.arange(len(np.asarray(labels)))
    truth = np.asarray(labels, np.int64)

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(scores / np.exp(log_temperature), axis=1)[rows, truth].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


def _confidences(logits: Floats) -> Floats:
    """Return the largest probability and the negative entropy of each row: float64 [2, n]."""
    logs = log_softmax(logits, axis=1)
    return np.stack([np.exp(logs.max(1)), (np.exp(logs) * logs).sum(1)])


def _estimates(before: Floats, right: NDArray[np.bool_], after: Floats) -> Floats:
    """Return the three estimates, each in [0, 1]."""
    accuracy = float(right.mean())
    thresholds = np.quantile(before, 1 - accuracy, axis=1)
    above = (after >= thresholds[:, None]).mean(1)
    doc = accuracy - (before[0].mean() - after[0].mean())
    return np.clip([above[0], above[1], doc], 0, 1)


def _moved_answers(before: NDArray[np.int64], after: NDArray[np.int64], classes: int, rng: np.random.Generator) -> float:
    """Return the total variation distance between the two mixes of answers, less the 95 % quantile of what chance alone gives."""
    mix, now = (np.bincount(answers, minlength=classes) / len(answers) for answers in (before, after))
    # Both mixes are counted, so both are redrawn.
    first, second = (rng.multinomial(n, mix, size=_REPEATS) / n for n in (len(before), len(after)))
    chance = np.quantile(np.abs(first - second).sum(1) / 2, 0.95)
    return max(float(np.abs(now - mix).sum() / 2 - chance), 0.0)
