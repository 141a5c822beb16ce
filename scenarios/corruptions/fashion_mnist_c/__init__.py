"""The 15 corruptions of Fashion-MNIST-C: Weiss, M. and Tonella, P. (2022). Simple techniques work surprisingly well for neural network
test prioritization and active learning. Proc. ISSTA 2022. Generator: github.com/testingautomated-usi/fashion-mnist-c.

Seven of them are MNIST-C's as they are, and glass blur nearly so; contrast, saturate and inverse come from that generator, too, where the
published MNIST-C leaves them out; four turn or mirror the picture. The authors call each at its default severity, which is what
`severity=None` means here, and cast the result to uint8 by cutting off what is behind the point, never by rounding. In the published
files every image has one of the 15, drawn at random and not recorded; here a name makes one corruption, and who wants a mixture draws it.
"""

from dataclasses import replace

from scenarios.corruptions.fashion_mnist_c.contrast import CONTRAST
from scenarios.corruptions.fashion_mnist_c.glass_blur import GLASS_BLUR
from scenarios.corruptions.fashion_mnist_c.inverse import INVERSE
from scenarios.corruptions.fashion_mnist_c.saturate import SATURATE
from scenarios.corruptions.fashion_mnist_c.turns import FLIP_SIDES, FLIP_UP_DOWN, TURN_LEFT, TURN_RIGHT
from scenarios.corruptions.mnist_c.brightness import BRIGHTNESS
from scenarios.corruptions.mnist_c.geometry import ROTATE, SCALE, SHEAR
from scenarios.corruptions.mnist_c.motion_blur import MOTION_BLUR
from scenarios.corruptions.mnist_c.noise import IMPULSE_NOISE, SHOT_NOISE
from scenarios.corruptions.rule import Corruption


def _as_in_mnist_c(corruption: Corruption) -> Corruption:
    return replace(corruption, name=f"fashion_mnist_c/{corruption.name}", family="fashion-mnist-c")


CORRUPTIONS = (
    _as_in_mnist_c(SHOT_NOISE), _as_in_mnist_c(IMPULSE_NOISE), GLASS_BLUR, _as_in_mnist_c(MOTION_BLUR), _as_in_mnist_c(SHEAR),
    _as_in_mnist_c(SCALE), _as_in_mnist_c(ROTATE), _as_in_mnist_c(BRIGHTNESS), CONTRAST, SATURATE, INVERSE, FLIP_SIDES, FLIP_UP_DOWN,
    TURN_RIGHT, TURN_LEFT,
)  # fmt: skip
