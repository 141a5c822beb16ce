"""Shot noise (too little light) and impulse noise (dead and stuck pixels)."""

import numpy as np

from scenarios.corruptions.rule import Corruption, Floats


def shot_noise(images: Floats, photons: float, generator: np.random.Generator) -> Floats:
    """Count a Poisson number of photons per value; a full white one sends `photons` on average."""
    return np.asarray(generator.poisson(images * photons) / photons)


def impulse_noise(images: Floats, share: float, generator: np.random.Generator) -> Floats:
    """Set a random `share` of the values to black or white, half each; every channel is drawn by itself."""
    draw = generator.random(images.shape)
    return np.where(draw < share, (draw < share / 2).astype(np.float64), images)


SHOT_NOISE = Corruption("shot_noise", "mnist-c", shot_noise, (60, 25, 12, 5, 3), published=5)
IMPULSE_NOISE = Corruption("impulse_noise", "mnist-c", impulse_noise, (0.03, 0.06, 0.09, 0.17, 0.27), published=4)
