"""Grids: what is where, how large, the same every time, for images and volumes."""

import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.training.made_model import images, predictor
from training.grid import LARGEST, STEPS, Sheet, interpolation_grid, swap_grid


def opened(data):
    return Image.open(BytesIO(data))


def test_swap_has_content_of_the_row_and_style_of_the_column(tmp_path):
    model = predictor(tmp_path)
    shown = images([10, 20, 30], [40, 50, 60])
    sheet = swap_grid(model, shown, ["a", "b", "c"], "title")
    assert sheet.tiles[0][0] is None
    for i in range(3):
        for j in range(3):
            pixels = sheet.tiles[i + 1][j + 1].reshape(-1)
            assert pixels[:2].tolist() == [10 * (i + 1), 10 * (j + 4)]
    assert sheet.framed == {(1, 1), (2, 2), (3, 3)}


def test_interpolation_moves_one_code_and_keeps_the_other(tmp_path):
    model = predictor(tmp_path)
    first, second = images([0], [0]), images([100], [200])
    sheet = interpolation_grid(model, first, second, [("a", "b")], "title")
    style, content = ([tile.reshape(-1)[:2].tolist() for tile in row] for row in sheet.tiles)
    steps = np.linspace(0, 1, STEPS)
    assert style == [[0, 0], *([0, round(200 * s)] for s in steps), [100, 200]]
    assert content == [[0, 0], *([round(100 * s), 0] for s in steps), [100, 200]]


@pytest.mark.parametrize(
    "shape", [(1, 28, 28), (3, 64, 64), (2, 28, 28), (4, 28, 28), (1, 28, 28, 28)]
)
def test_any_images_make_a_picture_that_is_small_enough_and_always_the_same(shape):
    generator = np.random.default_rng(0)
    tiles = generator.integers(0, 256, (8, 8, *shape), dtype=np.uint8)
    names = [f"group {k}\nclass" for k in range(8)]
    sheet = Sheet("Noise, the worst to compress", names, names, [list(row) for row in tiles])
    first, second = (sheet.picture("n", "a", "c") for _ in range(2))
    assert first == second
    held = base64.b64decode(first.png)
    assert len(held) <= LARGEST
    assert opened(held).width >= 8 * 24
    assert opened(sheet.png()).width > 8 * 112
    assert sheet.png() == sheet.png()


def test_a_volume_is_shown_by_its_middle_slice():
    volume = np.zeros((1, 9, 9, 9), np.uint8)
    volume[:, 4] = 200
    sheet = Sheet("t", ["r"], ["c"], [[volume]])
    shown = np.asarray(opened(sheet.png()).convert("L"))
    assert (shown == 200).sum() >= 112 * 112
