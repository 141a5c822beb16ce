"""Which remedies a classifier can have, and why not the others: known from what it is made of, before anything is tried."""

from models.networks.any_classifier import AnyClassifier
from models.remedies.recalibrate import NO_NORMS, norms_of

TRAINED = ("recalibrate", "transfer", "simulate", "fine_tune", "retrain", "harden", "reweight")
"""Remedies that change weights."""


def impossible(classifier: AnyClassifier) -> dict[str, str]:
    """Return the remedies that this classifier cannot have, each with the reason.

    >>> from models.networks.classifier import Classifier
    >>> impossible(Classifier())
    {}
    """
    reasons: dict[str, str] = {}
    _, height, width = classifier.shape
    if classifier.features is not None:
        reasons |= dict.fromkeys((*TRAINED, "filter", "filter_pairs"), "it is for images, and this model takes rows of a table")
        if getattr(classifier, "refit", None) is None:
            reasons["refit"] = "it calls code of the model's owner, and the deployment file names none as refit"
        return reasons
    if not classifier.differentiable:
        reasons |= dict.fromkeys(TRAINED, "it changes weights, and an ONNX file without its torch source has none that can be trained")
        reasons["refit"] = "it calls code of the owner of a model for rows of a table, and this one is for images"
        reasons["filter"] = "it is learned by gradients through the classifier, and an ONNX file gives none; filter_pairs needs none"
    elif not norms_of(classifier):
        reasons["recalibrate"] = NO_NORMS
    if height % 4 or width % 4:
        halves = f"a filter halves images twice, and {height}x{width} pixels are not multiples of 4"
        reasons |= dict.fromkeys(("filter", "filter_pairs"), halves)
    return reasons
