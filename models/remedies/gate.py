"""A gate that sends drifted images to the remedy and lets clean ones pass.

A generic distance from clean data must be ready for every drift; when a remedy is prepared, unlabelled images of *this* drift are at
hand, so the gate is fitted to tell exactly these from clean ones: a logistic regression on the standardised early and latent
features and their squares (squares because a turn to the left and one to the right lie on opposite sides of clean data). Half of the
calibration features helps to fit; the other half, unseen, sets the threshold so that about one clean image in a hundred is routed.
"""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from models.networks.classifier import Answer
from models.remedies.context import Candidate, RemedyContext
from models.training import look

CLEAN_ROUTED = 0.01
"""Share of clean images that the gate may route by mistake."""

REACH = 4.0
"""Standard deviations after which features are clipped: one wild feature must not decide alone."""


CLEAR = 0.9
"""A gate that routes less of the drift than this is said to be unclear."""

STEPS = 30
"""Iterations of the optimizer: more of them only separate further what is already apart."""


class Gate(nn.Module):
    """Score of an image from its raw features: early [n, e], latent [n, d] -> score [n]; larger = more like the drift."""

    def __init__(self, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.mean: Tensor
        self.spread: Tensor
        self.weigh = nn.Linear(2 * len(mean), 1)

    def describe(self, early: Tensor, latent: Tensor) -> Tensor:
        """Return what the score is linear in, float32 [n, 2 (e + d)]."""
        z = ((torch.cat([early, latent], 1) - self.mean) / self.spread).clamp(-REACH, REACH)
        return torch.cat([z, z * z / REACH], 1)

    def forward(self, early: Tensor, latent: Tensor) -> Tensor:
        return self.weigh(self.describe(early, latent)).squeeze(1)


def gated(context: RemedyContext, candidate: Candidate) -> Candidate:
    """Return the candidate with a gate in front of its filter or adapted classifier, and a note on what the gate routes."""
    gate, threshold, routed = fit_gate(context, look(context.classifier, context.drifted))
    note = f"the gate routes {routed:.1%} of the drifted images it was fitted on, and about {CLEAN_ROUTED:.0%} or less of clean ones"
    if routed < CLEAR:
        note += "; it cannot tell them well, so the rest keeps the live classifier's answer"
    return replace(candidate, gate=gate, gate_threshold=threshold, notes=(*candidate.notes, note))


def fit_gate(context: RemedyContext, drifted: Answer, weight_decay: float = 3e-3) -> tuple[Gate, float, float]:
    """Fit a gate that tells the drifted images from clean ones.

    Parameters
    ----------
    context : gives the reference.
    drifted : what the live classifier says about the raw drifted images.
    weight_decay : strength of the pull towards ignoring features.

    Returns
    -------
    The gate, its threshold, and the share of the drifted images that it routes (on images that it was fitted on: slightly too high).
    """
    reference = context.reference
    half = len(reference.calibration_early) // 2
    early = torch.tensor(np.concatenate([reference.fit_early, reference.calibration_early[:half]]))
    latent = torch.tensor(np.concatenate([reference.fit_latent, reference.calibration_latent[:half]]))
    clean = torch.cat([early, latent], 1)
    spread = clean.std(0)
    gate = Gate(clean.mean(0), spread.clamp_min(0.1 * float(spread.median())))
    seen = torch.cat([gate.describe(early, latent), gate.describe(drifted.early, drifted.latent)])
    side = torch.cat([torch.zeros(len(early)), torch.ones(len(drifted.early))])
    weight = torch.where(side > 0, 0.5 / side.sum(), 0.5 / (1 - side).sum())  # both sides count alike

    def objective(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        at = torch.tensor(point, dtype=torch.float32)
        score = seen @ at[:-1] + at[-1]
        value = (F.binary_cross_entropy_with_logits(score, side, reduction="none") * weight).sum() + weight_decay * at[:-1].square().sum()
        pull = (score.sigmoid() - side) * weight
        slope = torch.cat([seen.T @ pull + 2 * weight_decay * at[:-1], pull.sum().view(1)])
        return float(value), slope.numpy().astype(np.float64)

    found = minimize(objective, np.zeros(seen.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x
    gate.weigh.weight.data = torch.tensor(found[None, :-1], dtype=torch.float32)
    gate.weigh.bias.data = torch.tensor(found[-1:], dtype=torch.float32)
    gate.eval().requires_grad_(requires_grad=False)
    held = gate(torch.tensor(reference.calibration_early[half:]), torch.tensor(reference.calibration_latent[half:]))
    # The k-th largest of n held-out scores, k = floor(share * (n + 1)): a fresh clean image exceeds it with probability k / (n + 1).
    order = held.sort(descending=True).values
    limit = float(order[max(0, int(CLEAN_ROUTED * (len(order) + 1)) - 1)])
    score = gate(drifted.early, drifted.latent)
    # Where the two lie apart, stand in the middle of the gap: fewer clean images are routed, at no cost to the drifted ones.
    threshold = max(limit, (limit + float(torch.quantile(score, CLEAN_ROUTED))) / 2)
    return gate, threshold, float((score > threshold).float().mean())
