"""Refit: the owner's own code trains the model anew, on clean rows and those that a person labelled."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import onnx

from models.networks.brought import WIDEST
from models.networks.onnx_classifier import OnnxClassifier, speak_rows
from models.remedies.context import Candidate, RemedyContext

SHARE: Final = 0.25
"""Part of the rows, by weight, that the labelled ones are: they are repeated until they make it up."""


def prepare(context: RemedyContext) -> Candidate:
    """Call the `refit` of the deployment file with clean rows and labelled drifted ones; the model that it returns replaces the live one.

    For models that are not trained by gradients, such as a scikit-learn pipeline that was exported to ONNX. The labelled rows are repeated so
    that they count for a quarter of all: some twenty among thousands would change nothing.

    Parameters
    ----------
    context : uses `classifier` (its `refit`), `clean_images`, `clean_labels`, `drifted`, `teaching` (at least one).

    Raises
    ------
    ValueError
        When there are no teaching labels, no `refit`, or what it returns does not fit the deployment.
    TypeError
        When it returns no ONNX model.
    """
    context.report(0.0, "training anew with the owner's code")
    live = context.classifier
    if not isinstance(live, OnnxClassifier) or live.refit is None or live.features is None:
        raise ValueError("refit calls code of the model's owner and there is none; name it in the deployment file: refit = \"file.py:fit\"")
    if not len(context.teaching):
        raise ValueError("refit learns from a person's labels and there are none; allow some with [labels] teaching in the policy")
    times = max(1, round(SHARE / (1 - SHARE) * len(context.clean_labels) / len(context.teaching)))
    taught = np.repeat(context.drifted[context.teaching], times, 0), np.repeat(context.teaching_labels, times)
    rows, labels = np.concatenate([context.clean_images, taught[0]]), np.concatenate([context.clean_labels, taught[1]])
    fit: Callable[..., Any] = live.refit.find()
    made = fit(rows, labels)
    graph = onnx.load_model_from_string(made) if isinstance(made, bytes) else made
    if not isinstance(graph, onnx.ModelProto):
        raise TypeError(f"{live.refit.entry} returns a {type(made).__name__}; expected an ONNX model, or its bytes")
    new, latent, _ = speak_rows(graph, live.features, live.classes, latent=live.latent, refit=live.refit)
    live_width, width = context.reference.fit_latent.shape[1], min(latent.width, WIDEST)
    if width != live_width:
        raise ValueError(
            f"latents of {live.refit.entry} are {width} wide and those of the live model {live_width}; a deployment keeps one width. "
            "Return a pipeline with as many columns before its last step"
        )
    counted = f"{len(context.teaching)} labelled ones, each counted {times} times"
    note = f"{live.refit.entry} trained on {len(context.clean_labels)} clean rows and {counted}"
    return Candidate("refit", classifier=new, notes=(note, f"latents come from {latent}"))
