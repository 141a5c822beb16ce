"""The 15 corruptions of CIFAR-10-C and the 4 extra ones: Hendrycks, D. and Dietterich, T. (2019). Benchmarking neural network robustness to
common corruptions and perturbations. ICLR 2019. Generator: github.com/hendrycks/robustness, `ImageNet-C/create_c/make_cifar_c.py`.

Rules and parameters are those of the authors' generator, made fit for any height and width and for grey images (but for saturate), and
written for whole batches. What is measured in pixels there stays in pixels; elastic_transform alone is measured by the picture's side.
The cast to uint8 cuts off what is behind the point. Each of the five severities is published; left out, the severity is 5. The published
files themselves are read by `scenarios.corruptions.published.load_cifar10_c`. frost is a SUBSTITUTE unless photographs are given to it: see
its file and its `note`.
"""

from scenarios.corruptions.cifar10_c.blurs import DEFOCUS_BLUR, GAUSSIAN_BLUR, MOTION_BLUR
from scenarios.corruptions.cifar10_c.coding import JPEG_COMPRESSION, PIXELATE
from scenarios.corruptions.cifar10_c.colour import BRIGHTNESS, CONTRAST, SATURATE
from scenarios.corruptions.cifar10_c.elastic_transform import ELASTIC_TRANSFORM
from scenarios.corruptions.cifar10_c.fog import FOG
from scenarios.corruptions.cifar10_c.frost import FROST
from scenarios.corruptions.cifar10_c.glass_blur import GLASS_BLUR
from scenarios.corruptions.cifar10_c.noise import GAUSSIAN_NOISE, IMPULSE_NOISE, SHOT_NOISE, SPECKLE_NOISE
from scenarios.corruptions.cifar10_c.snow import SNOW
from scenarios.corruptions.cifar10_c.spatter import SPATTER
from scenarios.corruptions.cifar10_c.zoom_blur import ZOOM_BLUR

CORRUPTIONS = (
    GAUSSIAN_NOISE, SHOT_NOISE, IMPULSE_NOISE, DEFOCUS_BLUR, GLASS_BLUR, MOTION_BLUR, ZOOM_BLUR, SNOW, FROST, FOG, BRIGHTNESS, CONTRAST,
    ELASTIC_TRANSFORM, PIXELATE, JPEG_COMPRESSION, SPECKLE_NOISE, GAUSSIAN_BLUR, SPATTER, SATURATE,
)  # fmt: skip
