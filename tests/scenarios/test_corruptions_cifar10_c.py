"""The rules of CIFAR-10-C: those without chance against other implementations or by hand, those with chance by what they do on average."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter, zoom
from skimage import color, filters

from scenarios.corruptions import catalogue, corrupt
from scenarios.corruptions.cifar10_c import coding, elastic_transform, frost, glass_blur, spatter, zoom_blur
from scenarios.corruptions.mnist_c.motion_blur import kernel
from scenarios.errors import DataError

RNG = np.random.default_rng


def of(name, images, severity=None, seed=0):
    return corrupt(images, f"cifar10_c/{name}", severity, seed=seed)


def flat(value, count=40, side=32):
    return np.full((count, side, side, 3), value, np.uint8)


@pytest.fixture(scope="module")
def pictures():
    """Eight colour pictures of 32x32, smooth here and rough there, with black, white, grey and one-coloured patches."""
    smooth = gaussian_filter(RNG(0).normal(size=(8, 32, 32, 3)), (0, 2, 2, 0)) * 400 + 128
    rough = RNG(1).integers(0, 256, smooth.shape)
    images = np.where(np.arange(32)[:, None, None] < 16, smooth, rough).clip(0, 255).astype(np.uint8)
    images[:, :4, :4], images[:, :4, 4:8], images[:, :4, 8:12], images[:, :4, 12:16] = 0, 255, 77, (200, 0, 0)
    return images


def by_hand(name, x, severity):
    """What the published rule makes of one picture x in [0, 1], as others' libraries do it."""
    at = severity - 1
    if name == "gaussian_blur":
        return filters.gaussian(x, sigma=(0.4, 0.6, 0.7, 0.8, 1)[at], channel_axis=-1, mode="nearest", truncate=4)
    if name == "contrast":
        mean = np.mean(x, axis=(0, 1), keepdims=True)
        return (x - mean) * (0.75, 0.5, 0.4, 0.3, 0.15)[at] + mean
    hsv = color.rgb2hsv(x)
    if name == "brightness":
        hsv[..., 2] = np.clip(hsv[..., 2] + (0.05, 0.1, 0.15, 0.2, 0.3)[at], 0, 1)
    else:
        factor, added = ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2))[at]
        hsv[..., 1] = np.clip(hsv[..., 1] * factor + added, 0, 1)
    return color.hsv2rgb(hsv)


@pytest.mark.parametrize("name", ["gaussian_blur", "contrast", "brightness", "saturate"])
def test_what_scikit_image_can_do_is_done_alike_bit_for_bit(name, pictures):
    for severity in (1, 2, 3, 4, 5):
        expected = np.stack([(np.clip(by_hand(name, one / 255.0, severity), 0, 1) * 255).astype(np.uint8) for one in pictures])
        assert np.array_equal(of(name, pictures, severity), expected), severity


@pytest.mark.parametrize(("length", "factor"), [(32, 1.0), (32, 1.01), (32, 1.06), (32, 1.25), (32, 1.75), (32, 2.25), (33, 1.1), (17, 1.3)])
def test_the_enlarged_middle_of_a_row_is_that_of_scipy(length, factor):
    row = RNG(0).random(length)
    middle = int(np.ceil(length / factor))
    first = (length - middle) // 2
    large = zoom(row[first : first + middle], factor, order=1)
    cut = (len(large) - length) // 2
    assert np.allclose(zoom_blur.enlargement(length, factor) @ row, large[cut : cut + length])


def test_zoom_blur_is_the_mean_of_the_picture_and_its_enlargements(pictures):
    x = pictures[0] / 255.0
    for severity, stop, count in ((1, 1.06, 7), (2, 1.11, 12), (5, 1.26, 26)):
        factors = np.arange(1, stop, 0.01)  # with its rounding, which decides how many there are and where halves are rounded to
        assert len(factors) == count
        total = x.copy()
        for factor in factors:
            middle = int(np.ceil(32 / factor))
            first = (32 - middle) // 2
            large = zoom(x[first : first + middle, first : first + middle], (factor, factor, 1), order=1)
            cut = (len(large) - 32) // 2
            total += large[cut : cut + 32, cut : cut + 32]
        expected = total / (count + 1) * 255
        assert np.abs(of("zoom_blur", pictures[:1], severity)[0] - (expected - 0.5)).max() < 0.51, severity


def test_pixelate_and_jpeg_are_those_of_pillow(pictures):
    for severity, (side, quality) in enumerate([(30, 80), (28, 65), (27, 58), (24, 50), (20, 40)], 1):
        image = Image.fromarray(pictures[0])
        boxes = image.resize((side, side), Image.Resampling.BOX).resize((32, 32), Image.Resampling.BOX)
        image.save(file := BytesIO(), "JPEG", quality=quality)
        assert np.array_equal(of("pixelate", pictures, severity)[0], np.asarray(boxes))
        assert np.array_equal(of("jpeg_compression", pictures, severity)[0], np.asarray(Image.open(file)))
    wide = np.arange(12.0).reshape(1, 2, 6, 1) * 20 / 255
    assert np.allclose(coding.pixelate(wide, 0.5, RNG())[0, :, :, 0] * 255, [[70, 70, 110, 110, 150, 150]] * 2)


def test_no_pixel_of_an_even_picture_loses_a_level_to_defocus():
    every = np.arange(256, dtype=np.uint8).reshape(-1, 1, 1, 1) * np.ones((1, 5, 5, 3), np.uint8)
    for severity in (1, 2, 3, 5):  # at 4 the published weights fall short of 1
        assert np.array_equal(of("defocus_blur", every, severity), every), severity


def test_defocus_at_severity_four_spreads_a_pixel_over_a_cross_and_at_five_over_a_square():
    dot = np.zeros((1, 9, 9), np.uint8)
    dot[0, 4, 4] = 255
    cross, square = of("defocus_blur", dot, 4)[0], of("defocus_blur", dot, 5)[0]
    rows, columns = np.indices((9, 9)) - 4
    assert np.abs(cross.astype(int) - 51 * (np.abs(rows) + np.abs(columns) <= 1)).max() <= 1
    assert np.abs(square.astype(int) - 28 * (np.maximum(np.abs(rows), np.abs(columns)) <= 1)).max() <= 1


def test_motion_blur_smears_a_pixel_along_a_line_of_the_published_weights():
    dot = np.zeros((200, 31, 31), np.uint8)
    dot[:, 15, 15] = 255
    smeared = of("motion_blur", dot, 5).astype(int)
    total, brightest = smeared.sum(axis=(1, 2)), smeared.max(axis=(1, 2))
    assert total.max() <= 255 and total.min() >= 255 - 19, "each of 19 steps loses less than a level"
    assert np.median(brightest) == int(255 * kernel(9, 2.5)[0])
    rows, columns = np.nonzero(smeared.max(axis=0))
    assert np.all(np.abs(rows - 15) <= np.abs(columns - 15)), "steeper than 45 degrees"


@pytest.mark.parametrize("severity", [1, 5])
def test_noise_has_the_published_spread(severity):
    grey = flat(128)
    at = 0 if severity == 1 else 1
    spreads = {
        "gaussian_noise": 255 * (0.04, 0.10)[at], "speckle_noise": 128 * (0.06, 0.2)[at],
        "shot_noise": 255 * np.sqrt(128 / 255 / (500, 50)[at]),
    }  # fmt: skip
    for name, spread in spreads.items():
        result = of(name, grey, severity).astype(float)
        assert result.std() == pytest.approx(spread, rel=0.02), name
        assert result.mean() == pytest.approx(127.5, abs=0.4), name  # half a level is cut off
        assert abs(np.corrcoef(result[..., 0].ravel(), result[..., 1].ravel())[0, 1]) < 0.03, "channels are not drawn apart"
    assert (of("speckle_noise", flat(0), severity) == 0).all()


def test_impulse_noise_makes_the_published_share_black_or_white_and_leaves_the_rest():
    for severity, share in enumerate((0.01, 0.02, 0.03, 0.05, 0.07), 1):
        result = of("impulse_noise", flat(100), severity)
        assert np.isin(result, (0, 100, 255)).all()
        assert (result == 0).mean() == pytest.approx(share / 2, rel=0.1)
        assert (result == 255).mean() == pytest.approx(share / 2, rel=0.1)


def test_glass_blur_lets_each_pixel_take_one_of_four_neighbours_in_a_round():
    # Red tells the row and green the column; so small a blur leaves all as it is.
    picture = np.zeros((50, 32, 32, 3))
    picture[..., 0], picture[..., 1] = np.arange(32)[:, None] * 8 / 255, np.arange(32) * 8 / 255
    for rounds, shares in ((1, (1 / 2, 1 / 2)), (2, (1 / 4, 1 / 2, 1 / 4))):
        result = np.rint(glass_blur.glass_blur(picture, (0.05, rounds), RNG(0)) * 255 / 8)
        up, left = np.arange(32)[:, None] - result[..., 0], np.arange(32) - result[..., 1]
        assert not up[:, :2].any() and not left[:, :, :2].any()
        inner = slice(5, None)
        for moved in (up[:, inner, inner], left[:, inner, inner]):
            assert [(moved == k).mean() for k in range(len(shares))] == pytest.approx(shares, abs=0.02)


def test_fog_leaves_black_black_and_dims_white_to_the_published_depth():
    assert not of("fog", flat(0)).any()
    for severity, amount in enumerate((0.2, 0.5, 0.75, 1, 1.5), 1):
        result = of("fog", flat(255, 10), severity)
        assert (result == result[..., :1]).all(), "the channels of a pixel get the same fog"
        # The thinnest and the thickest place of a whole map are in each picture.
        assert np.abs(result.min(axis=(1, 2, 3)) - 255 / (1 + amount)).max() <= 1 and (result.max(axis=(1, 2, 3)) >= 254).all()


def test_snow_falls_twice_the_second_time_upside_down():
    dark = of("snow", flat(0), 1)
    assert np.array_equal(dark, dark[:, ::-1, ::-1])
    assert np.median(dark) == int((1 - 0.95) * 0.5 * 255), "where no flake fell, black is paled by half of what is not kept"
    shares = [(of("snow", flat(0), severity) > 100).mean() for severity in (1, 2, 3, 4, 5)]
    assert shares[0] < shares[1] < shares[3] and 0 < shares[0] < 0.1


def test_snow_falls_steeply():
    """Flakes reach further along columns than along rows."""
    flakes = of("snow", flat(0, 100), 2)[..., 0].astype(float)
    assert np.abs(np.diff(flakes, axis=1)).mean() < 0.8 * np.abs(np.diff(flakes, axis=2)).mean()


def test_elastic_transform_pulls_the_middle_by_the_published_amount_and_bends_nothing_at_severity_one():
    ramp = np.broadcast_to(np.arange(32.0)[None, None, :, None] / 31, (600, 32, 32, 1))
    pulled = elastic_transform.elastic_transform(ramp, (0, 0, 0.08), RNG(0))[:, 8:24, 8:24, 0] * 31
    assert np.abs(np.diff(pulled, 2, axis=1)).max() < 1e-9 and np.abs(np.diff(pulled, 2, axis=2)).max() < 1e-9
    # The middle lies halfway between two of the three points, each of which moves by a uniform draw of at most 0.08 of 32 pixels.
    assert (pulled[:, 8, 8] - 16).std() == pytest.approx(2.56 / np.sqrt(3) / np.sqrt(2), rel=0.1)
    assert (pulled[:, 8, 8] - 16).mean() == pytest.approx(0, abs=0.15)
    dented = elastic_transform.elastic_transform(ramp[:50], (0.1, 0.03, 0), RNG(0))[:, 8:24, 8:24, 0] * 31
    # A field of U(-1, 1), of variance 1/3, loses by the bell all but the sum of its squared weights.
    bell = gaussian_filter(np.eye(1, 41, 20)[0], 0.96, truncate=3)
    assert (dented - np.arange(8, 24)).std() == pytest.approx(3.2 * np.sqrt(1 / 3) * (bell**2).sum(), rel=0.05)


def test_spatter_is_turquoise_water_up_to_severity_three_and_then_brown_mud():
    for severity in (1, 2, 3):
        wet = of("spatter", flat(0), severity).astype(int)
        assert np.abs(wet[..., 0] - wet[..., 1] * 175 / 238).max() <= 1 and np.array_equal(wet[..., 1], wet[..., 2])
        assert wet.max() == 119 or wet.max() == 118  # half of 238, where the brightest drop is
        assert (of("spatter", flat(200), severity) >= 200).all(), "water only adds light"
    for severity in (4, 5):
        muddy = of("spatter", flat(255), severity).astype(int)
        assert muddy.reshape(-1, 3).min(axis=0) == pytest.approx([63, 42, 20], abs=1)
        clear = (muddy == 255).all(axis=-1)
        assert 0.5 < clear.mean() < 0.99


def test_a_drop_of_water_is_lit_from_the_upper_left_and_dark_where_there_is_none():
    layer = np.zeros((2, 24, 24))
    layer[0, 6:18, 6:18] = 0.8
    light = spatter.water(layer)
    assert not light[1].any() and light[0].max() == 1
    assert not light[0][layer[0] == 0].any()
    upper_left, lower_right = light[0, 6:12, 6:12].mean(), light[0, 12:18, 12:18].mean()
    assert upper_left > 1.2 * lower_right


def test_water_measures_distances_as_opencv_does():
    """By steps of 1, diagonal ones of 1.4 and knight's moves of 2.1969, to the nearest edge of the same image, and up to 20."""
    edges = np.zeros((3, 5, 30), bool)
    edges[0, 0, 0] = edges[2, 4, 29] = True
    far = spatter.distances(edges)
    assert far[0, :3, :4].round(4).tolist() == [[0, 1, 2, 3], [1, 1.4, 2.1969, 3.1969], [2, 2.1969, 2.8, 3.5969]]
    assert far[0, 4, 2] == pytest.approx(2 * 2.1969) and far[0, 0, 29] == 20
    assert (far[1] == 20).all(), "an image without an edge is not measured by its neighbours'"
    assert np.array_equal(far[2], far[0, ::-1, ::-1])


def test_the_mean_of_whole_numbers_is_whole_where_it_should_be():
    levels = RNG(0).integers(0, 21, (20, 32, 32))
    framed = np.pad(levels, ((0, 0), (1, 1), (1, 1)), mode="reflect")
    nine = sum(framed[:, row : row + 32, column : column + 32] for row in range(3) for column in range(3))
    assert np.array_equal(np.floor(spatter._mean(levels.astype(float))), nine // 9)


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    """A folder that the environment names for photographs of frost."""
    monkeypatch.setenv(frost.FOLDER, str(tmp_path))
    return tmp_path


def test_frost_adds_a_photograph_at_a_fifth_of_its_size(photographs):
    # Red tells the row and green the column of the photograph.
    rows, columns = np.indices((240, 250))
    Image.fromarray(np.stack([rows, columns, 0 * rows + 90], axis=-1).astype(np.uint8)).save(photographs / "ice.png")
    result = of("frost", flat(100, 60), 5)
    assert (result[..., 2] == int(0.75 * 100 + 0.45 * 90)).all()
    at = np.rint((result[..., :2].astype(float) + 0.5 - 75) / 0.45)
    assert np.abs(np.diff(at[..., 0], axis=1) - 5).max() <= 3 and np.abs(np.diff(at[..., 1], axis=2) - 5).max() <= 3
    top, left = at[:, 0, 0, 0], at[:, 0, 0, 1]
    assert top.min() < 15 and 60 < top.max() <= 82 and left.min() < 15 and 65 < left.max() <= 92


def test_frost_without_photographs_is_grown_and_says_so(monkeypatch):
    monkeypatch.delenv(frost.FOLDER, raising=False)
    one = catalogue("cifar10_c")["cifar10_c/frost"]
    assert one.note.startswith("SUBSTITUTE") and frost.FOLDER in one.note and "SUBSTITUTE" in frost.__doc__
    assert [other.name for other in catalogue("all").values() if other.note] == ["cifar10_c/frost"]
    ice = of("frost", flat(0), 5).astype(int)
    assert 15 < ice.mean() < 60 and ice.std() > 15
    assert (ice[..., 2] >= ice[..., 1]).all() and (ice[..., 1] >= ice[..., 0]).all(), "ice is bluish"


def test_frost_tells_what_is_wrong_with_the_photographs(photographs, monkeypatch):
    with pytest.raises(DataError, match=r"SCANFLOW_FROST names .* but it holds no \.png, \.jpg or \.jpeg file\. Put photographs there, or unset"):
        of("frost", flat(0, 1))
    monkeypatch.setenv(frost.FOLDER, str(photographs / "nowhere"))
    with pytest.raises(DataError, match="but there is no such folder"):
        of("frost", flat(0, 1))
    (small := photographs / "small").mkdir()
    Image.new("RGB", (150, 400)).save(small / "one.jpg")
    monkeypatch.setenv(frost.FOLDER, str(small))
    with pytest.raises(DataError, match=r"one\.jpg is too small for frost, .*; 160x160 pixels \(height x width\) or more are needed for images of 32x32"):
        of("frost", flat(0, 1))
    (damaged := photographs / "damaged").mkdir()
    (damaged / "two.png").write_bytes(b"no picture")
    monkeypatch.setenv(frost.FOLDER, str(damaged))
    with pytest.raises(DataError, match=r"two\.png cannot be read as a photograph of frost"):
        of("frost", flat(0, 1))
