"""A gate that tells how likely an image is a drifted one: the part that the remedy gets in its answer.

A generic distance from clean data must be ready for every drift; when a remedy is prepared, unlabelled images of *this* drift are at
hand, so the gate is fitted to tell exactly these from clean ones: a logistic regression on the standardised early and latent
features and their squares (squares because a turn to the left and one to the right lie on opposite sides of clean data). Its score is the
logarithm of odds. Where drift and clean data lie apart it is sure of each image; where they overlap, as photographs and slightly noisy ones
do, it is not, and both answers count (`models.blend`). What that costs is measured on clean calibration images, whose labels are known:
if it is too much, the gate asks for more before it gives a part.

Images that score higher than all but one in a hundred clean ones are clearly drifted ones: they count as *routed*, and by their share the
end of the drift is seen. Drifts that are known already, because an earlier route serves them or a person called them expected, are kept
out: about one image in a hundred of each may be routed. Only where the new drift cannot be told from an earlier one, and the new remedy
gives the answers that were given to that one before (or no remedy was needed there), may the gate take it over.
"""

from collections.abc import Sequence

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from models.blend import Blend, part
from models.networks.classifier import Answer
from models.networks.numerics import BATCH, to_tensor
from models.networks.route import RouteModules
from models.reference import Component
from models.remedies.context import Candidate, RemedyContext
from models.training import look

ROUTED = 0.01
"""Share of clean images, and of those of each known drift, that the gate may take for clearly drifted ones by mistake."""

CLEAN_LOST = 0.002
"""Clean accuracy that the gate may cost, as far as calibration images tell, before it gives smaller parts."""

SHIFTS = (0.0, 1.0, 2.0, 3.0, 4.0)
"""How much more than even odds the gate may ask for, for the sake of clean images."""

REACH = 4.0
"""Standard deviations after which features are clipped: one wild feature must not decide alone."""

CLEAR = 0.9
"""A gate that routes less of the drift than this is said to be unclear."""

SAME = 0.99
"""A remedy that answers this share of an earlier drift's images as before may take that drift over."""

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


class Fitted(NamedTuple):
    """A gate, and what its scores say."""

    gate: Gate
    threshold: float
    """Above it an image is clearly one of the drift."""
    even: float
    """At it both answers count alike."""
    routed: float
    """Share of the drifted images above the threshold, on images that the gate was fitted on: slightly too high."""


def gated(context: RemedyContext, candidate: Candidate) -> Candidate:
    """Return the candidate with a gate in front of its filter or adapted classifier, and a note on what the gate routes."""
    drifted, known = look(context.classifier, context.drifted), context.reference.drifts
    fitted = fit_gate(context, drifted, known)
    note = f"the gate is sure of {{:.1%}} of the drifted images it was fitted on, and of about {ROUTED:.0%} or less of clean ones"
    apart = [one for one in known if fitted.routed >= CLEAR or not _answers_as_before(context, candidate, one.name)]
    if len(apart) < len(known):
        fitted = fit_gate(context, drifted, apart)
        taken = ", ".join(one.name for one in known if one not in apart)
        note += f"; it takes over {taken}, which it cannot tell from this drift and where it answers as before or nothing was mended"
    if apart:
        note += f"; {len(apart)} known drift{'s are' if len(apart) > 1 else ' is'} kept out"
    if fitted.routed < CLEAR:
        note += f"; it {'takes the rest for these' if apart else 'cannot tell them well'}: where it is in doubt, both answers count"
    even = _even(context, candidate, fitted)
    if even is None:
        note += "; mixing answers would cost too many clean images, so only those that it is sure of are mended"
    notes = (*candidate.notes, note.format(fitted.routed))
    return replace(candidate, gate=fitted.gate, gate_threshold=fitted.threshold, gate_even=even, notes=notes)


@torch.no_grad()
def _even(context: RemedyContext, candidate: Candidate, fitted: Fitted) -> float | None:
    """The score at which both answers may count alike so that clean calibration images, unseen by the gate, lose next to nothing; None: at none."""
    if context.calibration_images is None:
        return fitted.even
    reference, route = context.reference, RouteModules(candidate.filter, candidate.adapted)
    unseen = reference.held_out
    early, latent = torch.tensor(reference.calibration_early[unseen]), torch.tensor(reference.calibration_latent[unseen])
    scores, clean = fitted.gate(early, latent).numpy(), context.calibration_images[unseen]
    before, labels = reference.calibration_logits[unseen], reference.calibration_labels[unseen]
    asked = part(scores, fitted.even) > 0
    said = np.zeros_like(before)
    if asked.any():
        images = to_tensor(clean[asked]).split(BATCH)
        said[asked] = torch.cat([route.answer(context.classifier, some).logits for some in images]).numpy()
    for shift in SHIFTS:
        blend, parts = Blend(*before.shape), part(scores, fitted.even + shift)
        blend.add(parts, said[parts > 0], said[parts > 0])
        after, _ = blend.rest(before, before)
        if (before.argmax(1) == labels).mean() - (after.argmax(1) == labels).mean() <= CLEAN_LOST:
            return fitted.even + shift
    return None


@torch.no_grad()
def _answers_as_before(context: RemedyContext, candidate: Candidate, drift: str) -> bool:
    """Whether images of an earlier drift would get the answers that they got; so they do where none was worth keeping exemplars of."""
    if (kept := context.exemplars.get(drift)) is None:
        return True
    route = RouteModules(candidate.filter, candidate.adapted)
    said = torch.cat([route.answer(context.classifier, part).logits.argmax(1) for part in to_tensor(kept.images).split(BATCH)])
    return float((said.numpy() == kept.answers).mean()) >= SAME


def fit_gate(
    context: RemedyContext, drifted: Answer, apart: Sequence[Component] = (), weight_decay: float = 3e-3
) -> Fitted:
    """Fit a gate that tells the drifted images from clean ones and from known drifts.

    Parameters
    ----------
    context : gives the reference.
    drifted : what the live classifier says about the raw drifted images.
    apart : the known drifts that the gate must not route either.
    weight_decay : strength of the pull towards ignoring features.
    """
    reference = context.reference
    half = reference.held_out.start  # the classifier was not trained on these; the other half tells of the gate's errors
    early = torch.tensor(np.concatenate([reference.fit_early, reference.calibration_early[:half]]))
    latent = torch.tensor(np.concatenate([reference.fit_latent, reference.calibration_latent[:half]]))
    clean = torch.cat([early, latent], 1)
    spread = clean.std(0)
    known = [(early, latent), *((torch.tensor(one.fit_early), torch.tensor(one.fit_latent)) for one in apart)]
    gate = Gate(clean.mean(0), spread.clamp_min(0.1 * float(spread.median())))
    seen = torch.cat([gate.describe(*part) for part in (*known, (drifted.early, drifted.latent))])
    counts = [*(len(part) for part, _ in known), len(drifted.early)]
    side = torch.cat([torch.full((count,), float(number == len(known))) for number, count in enumerate(counts)])
    # Both sides count alike, and on the first one all populations do.
    weight = torch.cat([torch.full((n,), 0.5 / n / (1 if number == len(known) else len(known))) for number, n in enumerate(counts)])

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
    near = [_limit(gate(torch.tensor(one.calibration_early), torch.tensor(one.calibration_latent))) for one in apart]
    clean = gate(torch.tensor(reference.calibration_early[reference.held_out]), torch.tensor(reference.calibration_latent[reference.held_out]))
    limit, score = max([_limit(clean), *near]), gate(drifted.early, drifted.latent)
    # Where the two lie apart, stand in the middle of the gap: fewer clean images are routed, at no cost to the drifted ones.
    threshold = max(limit, (limit + float(torch.quantile(score, ROUTED))) / 2)
    # Clean data and the drift counted alike, so even odds are a score of 0; known drifts must not come near.
    return Fitted(gate, threshold, max([0.0, *near]), float((score > threshold).float().mean()))


def _limit(scores: Tensor) -> float:
    """The threshold above which a fresh image of this population scores with a probability of `ROUTED` or a little less.

    It is the k-th largest of n held-out scores, k = floor(share * (n + 1)): a fresh image exceeds it with probability k / (n + 1).
    """
    order = scores.sort(descending=True).values
    return float(order[max(0, int(ROUTED * (len(order) + 1)) - 1)])
