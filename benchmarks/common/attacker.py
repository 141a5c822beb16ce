"""An attacker who knows the check for adversarial inputs, its reference too, and so looks for wrong answers that it does not notice."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from models.networks.attack import Loss
from models.networks.classifier import Classifier
from models.reference import Reference
from models.weaknesses.adversarial import NEIGHBOURS, Contradiction

ENOUGH = 3.0  # cross-entropy at which an answer is wrong by far; more is not worth being noticed for


class Knowing:
    """The score of `Contradiction` with gradients, for a classifier."""

    def __init__(self, classifier: Classifier, reference: Reference, score: Contradiction) -> None:
        self.classifier, self.score = classifier, score
        features = reference.features(reference.fit_early, reference.fit_latent)
        raw = torch.cat([torch.tensor(reference.fit_early), torch.tensor(reference.fit_latent)], 1).double()
        standard = torch.tensor(features)
        # features are (raw - mean) / spread: both ends of each column tell which.
        top, bottom = raw.argmax(0), raw.argmin(0)
        columns = torch.arange(raw.shape[1])
        self.spread = (raw[top, columns] - raw[bottom, columns]) / (standard[top, columns] - standard[bottom, columns])
        self.spread = torch.where(self.spread.isfinite() & (self.spread > 0), self.spread, torch.ones_like(self.spread))
        self.mean = raw[top, columns] - self.spread * standard[top, columns]
        self.early = reference.fit_early.shape[1]
        self.means, self.whiten = torch.tensor(score.means), torch.tensor(score.spread.whiten)
        self.middle = torch.tensor(score.spread.mean)
        self.near = [torch.tensor(one.fit) for one in score.near]

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [n, k] of images and the score [n] that their answers get."""
        answer = self.classifier(images)
        features = (torch.cat([answer.early, answer.latent], 1).double() - self.mean) / self.spread
        said = answer.logits.argmax(1)
        far = ((features - self.means[said] - self.middle) @ self.whiten).norm(dim=1)
        latents = features[:, self.early :]
        distances = torch.stack([torch.cdist(latents, fit).topk(NEIGHBOURS, 1, largest=False).values.mean(1) for fit in self.near], 1)
        own = distances.gather(1, said[:, None])[:, 0]
        others = distances.scatter(1, said[:, None], torch.inf).min(1).values
        scales = self.score.far_scale, self.score.foreign_scale
        parts = [(value.clamp(min=1e-9).log() - scale.middle) / scale.spread for value, scale in zip((far, own / others), scales, strict=True)]
        return answer.logits, parts[0] + parts[1]

    def loss(self, labels: Tensor, price: float) -> Loss:
        """What this attacker raises: the error, as far as it is worth something, less `price` for each unit of the score above usual."""

        def value(images: Tensor) -> Tensor:
            logits, score = self(images)
            return (F.cross_entropy(logits, labels, reduction="none").clamp(max=ENOUGH) - price * score.clamp(min=0)).sum()

        return value
