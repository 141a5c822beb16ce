"""The 15 corruptions of MNIST-C: Mu, N. and Gilmer, J. (2019). MNIST-C: a robustness benchmark for computer vision. arXiv 1906.02337.

Rules and parameters are those of the authors' generator (github.com/google-research/mnist-c, `corruptions.py`), made fit for any
height and width and written for whole batches. What is measured in pixels there (shifts, blur widths, the width of a line) stays in
pixels; what is a place in the 28x28 picture (its centre, its outer quarters, its last row) moves with the size. Each file says how.
"""

from scenarios.corruptions.mnist_c.brightness import BRIGHTNESS
from scenarios.corruptions.mnist_c.canny_edges import CANNY_EDGES
from scenarios.corruptions.mnist_c.fog import FOG
from scenarios.corruptions.mnist_c.geometry import ROTATE, SCALE, SHEAR, TRANSLATE
from scenarios.corruptions.mnist_c.glass_blur import GLASS_BLUR
from scenarios.corruptions.mnist_c.lines import DOTTED_LINE, ZIGZAG
from scenarios.corruptions.mnist_c.motion_blur import MOTION_BLUR
from scenarios.corruptions.mnist_c.noise import IMPULSE_NOISE, SHOT_NOISE
from scenarios.corruptions.mnist_c.spatter import SPATTER
from scenarios.corruptions.mnist_c.stripe import STRIPE

CORRUPTIONS = (
    SHOT_NOISE, IMPULSE_NOISE, GLASS_BLUR, MOTION_BLUR, SHEAR, SCALE, ROTATE, BRIGHTNESS, TRANSLATE, STRIPE, FOG, SPATTER, DOTTED_LINE,
    ZIGZAG, CANNY_EDGES,
)  # fmt: skip
