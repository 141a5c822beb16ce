import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agents.pictures import drawing_for, picture


def size(text):
    lines = text.plain.splitlines()
    return max(len(line) for line in lines), len(lines)


@pytest.mark.parametrize(("room", "drawn"), [((46, 20), (28, 14)), ((66, 30), (56, 28)), ((200, 28), (56, 28)), ((200, 27), (28, 14))])
def test_28_pixels_are_28_cells_wide_and_twice_that_where_there_is_room(room, drawn):
    assert size(picture(np.zeros((28, 28), np.uint8), *room)) == drawn


def test_a_cell_shows_the_upper_pixel_as_foreground_and_the_lower_as_background():
    image = np.array([[255], [0]], np.uint8)
    style = picture(image, 1, 1).spans[0].style
    assert style.color.triplet == (255, 255, 255) and style.bgcolor.triplet == (0, 0, 0)


def test_colour_images_keep_their_colour():
    image = np.zeros((2, 2, 3), np.uint8)
    image[..., 0] = 200
    assert picture(image, 2, 1).spans[0].style.color.triplet == (200, 0, 0)


def test_a_foggy_image_is_readable_in_shades():
    """Grey 200 to 230 only, as fog leaves it: the darkest is still drawn dark and the brightest bright."""
    image = np.full((4, 4), 200, np.uint8)
    image[:, 2:] = 230
    assert picture(image, 4, 2, "shades").plain == "  ██\n  ██"


def test_an_even_image_is_drawn_by_its_own_brightness():
    assert picture(np.full((2, 2), 255, np.uint8), 2, 1, "shades").plain == "██"
    assert picture(np.zeros((2, 2), np.uint8), 2, 1, "ascii").plain.strip() == ""


@given(
    h=st.integers(1, 90), w=st.integers(1, 90), columns=st.integers(1, 60), rows=st.integers(1, 30), colour=st.booleans(),
    drawing=st.sampled_from(["colour", "shades", "ascii"]),
)  # fmt: skip
def test_any_image_fits_into_any_room(h, w, columns, rows, colour, drawing):
    shape = (h, w, 3) if colour else (h, w)
    image = np.random.default_rng(h * 91 + w).integers(0, 256, shape, dtype=np.uint8)
    wide, high = size(picture(image, columns, rows, drawing))
    assert 1 <= wide <= columns and 1 <= high <= rows


def test_large_images_are_averaged_not_thinned_out():
    stripes = np.zeros((112, 112), np.uint8)
    stripes[:, ::2] = 200
    style = picture(stripes, 28, 14).spans[0].style
    assert style.color.triplet == (100, 100, 100)


def console(encoding="utf-8", **settings):
    return Console(file=io.TextIOWrapper(io.BytesIO(), encoding=encoding), force_terminal=True, **settings)


def test_what_can_be_drawn_depends_on_the_terminal():
    assert drawing_for(console(color_system="truecolor", no_color=False)) == "colour"
    assert drawing_for(console(color_system="256", no_color=False)) == "colour"
    assert drawing_for(console(color_system="standard", no_color=False)) == "shades"
    assert drawing_for(console(color_system="truecolor", no_color=True)) == "shades"
    assert drawing_for(console(encoding="ascii", color_system="256", no_color=False)) == "ascii"
