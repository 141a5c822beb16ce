"""The rule of Scanflow's own demo: an autoencoder flags what it draws unusually well or badly, and a tenth of a batch flagged retrains.

A sample is flagged when its reconstruction error lies outside of the 5 % and 95 % quantiles of the training errors. A tenth of the
training images lies there by construction, and a tenth of a batch is what the demo retrains at. Its picks, 5 % of the batch, are drawn by
chance from what is flagged; a person labels them; the classifier is trained anew on clean images and picks, and goes live when its
accuracy on clean data does not fall. Nothing looks at the drifted data again.

Two parts of the demo made it worse and are no part of its idea. It scaled the errors of each batch by those of the batch, which hides a
drift of all images: left out. It widened the quantiles to 15 % and 85 % whenever less than 40 % of the batch was flagged, so that 30 % of
the training images are: only with `widens=True`. Its autoencoder was hardly trained; this one is the project's.

On 10,000 held-out clean MNIST images 12 % are flagged, so 82 % of the batches of 300 and all batches of 1000 retrain; as the demo widens,
33 % are flagged and all batches retrain.

Bravo-Rocca, G. et al. (2021). Scanflow: a multi-graph framework for machine learning workflow management, supervision, and debugging.
The numbers are those of its published code (gusseppe/scanflow, examples/demo_mnist; bsc-scanflow/scanflow, examples/mnist), of which there
are several versions: one starts at the 20 % and 80 % quantiles, and it draws picks by the density of their errors, not evenly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.detectors.reconstruction import reconstruction_error
from models.networks.autoencoder import Autoencoder, fit_autoencoder, redraw
from models.networks.classifier import Classifier
from models.training import look, train_classifier
from scenarios.datasets import to_float

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Floats = NDArray[np.float64]

TAIL = 0.05
WIDE_TAIL = 0.15
WANTED = 0.4
"""Share of a batch that the demo wants flagged; with less it widens."""
RETRAIN = 0.1
"""Share of a batch flagged at which it retrains."""
PICKED = 0.05
"""Share of a batch that a person labels."""


def outside(errors: Floats, usual: Floats, tail: float) -> NDArray[np.bool_]:
    """Which `errors` [n] lie outside of the quantiles `tail` and 1 - `tail` of the `usual` ones [m].

    >>> usual = np.arange(100.0)
    >>> outside(np.array([2.0, 50.0, 97.0]), usual, 0.05).tolist(), float(outside(usual, usual, 0.05).mean())
    ([True, False, True], 0.1)
    """
    low, high = np.quantile(usual, [tail, 1 - tail])
    return (errors < low) | (errors > high)


@dataclass(frozen=True, eq=False)
class Alarm:
    """The demo's rule: what it flags, and whether that is enough to retrain."""

    network: Autoencoder
    usual: Floats
    """float64 [m]: reconstruction errors of the images that the network was trained on"""
    widens: bool = False

    @classmethod
    def fit(cls, images: Images, *, epochs: int | None = None, seed: int = 0, widens: bool = False) -> "Alarm":
        """Train the autoencoder on clean training images, uint8 [m, ...]; `epochs` as `fit_autoencoder` takes them."""
        network = fit_autoencoder(to_float(images), epochs=epochs, seed=seed)
        return cls(network, _errors(network, images), widens)

    def flagged(self, batch: Images) -> NDArray[np.bool_]:
        """Which images of a batch, uint8 [n, ...], are flagged: bool [n]."""
        errors = _errors(self.network, batch)
        odd = outside(errors, self.usual, TAIL)
        return outside(errors, self.usual, WIDE_TAIL) if self.widens and odd.mean() < WANTED else odd

    def raised(self, batch: Images) -> bool:
        """Whether the demo retrains after this batch."""
        return bool(self.flagged(batch).mean() >= RETRAIN)

    def false_alarms(self, clean: Images, batch: int = 300) -> float:
        """Share of the whole batches of clean images after which the demo retrains; the demo's batches held 300 or 1000."""
        return float(np.mean([self.raised(clean[at : at + batch]) for at in range(0, len(clean) - batch + 1, batch)]))


class Outcome(NamedTuple):
    """What came of a batch."""

    flagged: float
    """Share of the batch."""
    picked: Labels
    """int64: rows of the batch that a person labelled; empty without an alarm"""
    classifier: Classifier
    """What answers from now on."""
    promoted: bool
    """Whether that is a new one."""


def respond(
    alarm: Alarm, live: Classifier, batch: Images, answer: Callable[[Labels], Labels], training: tuple[Images, Labels],
    held: tuple[Images, Labels], seed: int = 0,
) -> Outcome:
    """Do as the demo does with a batch.

    Parameters
    ----------
    alarm, live : the rule, and the classifier that answers now.
    batch : uint8 [n, ...], unlabelled.
    answer : a person's labels, int64, of rows of the batch.
    training : clean images and labels that a new classifier is trained on, with the picks.
    held : clean images and labels by which it is promoted.
    """
    flagged = np.flatnonzero(alarm.flagged(batch))
    share = len(flagged) / len(batch)
    if share < RETRAIN:
        return Outcome(share, np.empty(0, np.int64), live, promoted=False)
    picked = np.random.default_rng(seed).permutation(flagged)[: max(1, round(PICKED * len(batch)))]
    images, labels = np.concatenate([training[0], batch[picked]]), np.concatenate([training[1], answer(picked)])
    new = train_classifier(images, labels, live.classes, seed=seed)
    promoted = _accuracy(new, *held) >= _accuracy(live, *held)
    return Outcome(share, picked, new if promoted else live, promoted)


def _errors(network: Autoencoder, images: Images) -> Floats:
    floats = to_float(images)
    return reconstruction_error(floats, redraw(network, floats)[0])


def _accuracy(classifier: Classifier, images: Images, labels: Labels) -> float:
    return float((look(classifier, images).logits.argmax(1).numpy() == labels).mean())
