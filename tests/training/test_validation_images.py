from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from geoseg.classes import ClassScheme
from geoseg.tiling import Window
from geoseg.training import validation_images
from geoseg.training.validation_images import Panel, draw_page, imagery

GREY = 217
COLORS = np.full((256, 3), GREY, np.uint8)
COLORS[:10] = np.arange(30).reshape(10, 3)


@pytest.mark.parametrize("bands", [1, 7, 30])
@pytest.mark.parametrize("side", [10, 11, 64])
def test_thinning_out_does_not_depend_on_the_bands(
    monkeypatch: pytest.MonkeyPatch, side: int, bands: int
) -> None:
    monkeypatch.setattr(validation_images, "_MAX_SIDE", side)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, (30, 50)).astype(np.uint8)
    pixels, valid = rng.integers(0, 255, (3, 30, 50)).astype(np.uint8), np.ones((30, 50), bool)
    panel = Panel("tile", 30, 50)
    for row in range(0, 30, bands):
        area = Window(row, 0, min(bands, 30 - row), 50)
        rows = slice(area.row, area.row_end)
        panel.add(area, pixels[:, rows], valid[rows], labels[rows], 9 - labels[rows])
    image, reference, predicted = panel.images(COLORS)
    every = -(-50 // side)
    np.testing.assert_array_equal(reference, COLORS[labels[::every, ::every]])
    np.testing.assert_array_equal(predicted, COLORS[9 - labels[::every, ::every]])
    assert image.shape == reference.shape
    assert max(image.shape) <= side


def test_tiles_of_more_than_480_pixels_are_subsampled() -> None:
    for side, shown in ((480, 480), (481, 241), (961, 321)):
        for height, width in ((2, side), (side, 2)):
            panel, ids = Panel("tile", height, width), np.zeros((height, width), np.uint8)
            valid = np.ones((height, width), bool)
            panel.add(Window(0, 0, height, width), valid[None].astype(float), valid, ids, ids)
            assert max(panel.images(COLORS)[1].shape[:2]) == shown


def test_imagery_is_stretched_between_the_second_and_the_98th_percentile() -> None:
    pixels = np.arange(101.0).reshape(1, 1, 101)
    shown = imagery(pixels, np.ones((1, 101), bool))[0, :, 0]
    assert (shown[2], shown[98]) == (0, 255)
    assert shown[3] == int(255 / 96)
    assert (imagery(np.full((1, 2, 2), 7.0), np.ones((2, 2), bool)) == 0).all()
    colors = imagery(np.stack([pixels[0], pixels[0][:, ::-1], pixels[0]]), np.ones((1, 101), bool))
    np.testing.assert_array_equal(colors[0, :, 1], colors[0, ::-1, 0])


def test_without_panels_nothing_is_drawn(tmp_path: Path) -> None:
    draw_page([], ClassScheme.from_names(["a"]), tmp_path / "page.png")
    assert not (tmp_path / "page.png").exists()


def test_imagery_is_stretched_and_holes_are_grey() -> None:
    pixels = np.linspace(1000, 3000, 400, dtype=np.float32).reshape(1, 20, 20).repeat(4, 0)
    valid = np.ones((20, 20), bool)
    valid[0] = False
    pixels[:, 0] = np.nan
    shown = imagery(pixels, valid)
    assert shown.dtype == np.uint8
    assert (shown[0] == GREY).all()
    assert (shown[1:].min(), shown[1:].max()) == (0, 255)
    assert (imagery(pixels[:1], valid) == shown).all()
    assert (imagery(pixels, np.zeros_like(valid)) == GREY).all()


def test_a_page_has_a_row_for_each_tile(tmp_path: Path) -> None:
    heights = []
    for count in (1, 3):
        panels = []
        for number in range(count):
            panel = Panel(f"tile {number}", 8, 8)
            ids = np.zeros((8, 8), np.uint8)
            panel.add(Window(0, 0, 8, 8), np.ones((3, 8, 8)), np.ones((8, 8), bool), ids, ids)
            panels.append(panel)
        draw_page(panels, ClassScheme.from_names(["a", "b"]), tmp_path / "pages" / f"{count}.png")
        heights.append(matplotlib.image.imread(tmp_path / "pages" / f"{count}.png").shape[:2])
    assert heights == [(495, 1320), (1375, 1320)]
