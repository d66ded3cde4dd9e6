"""Assembling parts: the pixels of the whole, each part read once, few rows held."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geoseg.raster import Part, assembly, read_part, write_part
from geoseg.raster.assembly import assemble
from geoseg.tiling import Window

HEIGHT, WIDTH = 1700, 1300
DATA = np.random.default_rng(0).integers(0, 9, (2, HEIGHT, WIDTH), dtype=np.uint8)


def cut(folder: Path, heights: list[int], widths: list[int], data: np.ndarray) -> list[Part]:
    """Parts of these sizes from the upper left on; some of the raster may be covered by none."""
    folder.mkdir(exist_ok=True)
    made, col = [], 0
    for width in widths:
        row = 0
        for height in heights:
            part = Part(folder / f"{row}-{col}.tif", row, col, height, width)
            write_part(part, data[:, row : row + height, col : col + width])
            made.append(part)
            row += height
        col += width
    return made


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    heights=st.lists(st.sampled_from([1, 100, 383, 512, 850]), min_size=1, max_size=2),
    widths=st.lists(st.sampled_from([1, 300, 512, 650]), min_size=1, max_size=2),
    rows=st.tuples(st.integers(0, 900), st.integers(1, 800)),
    cols=st.tuples(st.integers(0, 600), st.integers(1, 700)),
    held=st.sampled_from([1, 2**21, 2**28]),
)
def test_any_rectangle_shows_what_the_parts_show_and_else_the_fill(
    tmp_path_factory: pytest.TempPathFactory,
    heights: list[int],
    widths: list[int],
    rows: tuple[int, int],
    cols: tuple[int, int],
    held: int,
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    parts = cut(folder, heights, widths, DATA)
    area = Window(rows[0], cols[0], rows[1], cols[1])
    expected = np.full(DATA.shape, 77, np.uint8)
    covered = np.s_[:, : sum(heights), : sum(widths)]
    expected[covered] = DATA[covered]
    shown = expected[(slice(None), *area.slices())]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembly, "_HELD_BYTES", held)  # of less, it is written by columns
        counts = assemble(parts, folder / "all.tif", area, bands=2, fill=77)
    with rasterio.open(folder / "all.tif") as file:
        np.testing.assert_array_equal(file.read(), shown)
        tile = tuple(min(512, 16 * -(-side // 16)) for side in (rows[1], cols[1]))
        assert (file.block_shapes, file.compression.name) == ([tile] * 2, "zstd")
    np.testing.assert_array_equal(counts, np.bincount(shown[0].ravel(), minlength=256))


def test_each_part_is_read_once_and_none_beside_the_rectangle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = cut(tmp_path / "parts", [383, 383, 383, 383, 168], [650, 650], DATA)
    read: list[Part] = []
    monkeypatch.setattr(assembly, "read_part", lambda part: read.append(part) or read_part(part))
    assemble(parts, tmp_path / "all.tif", Window(0, 0, HEIGHT, WIDTH), bands=2, fill=0)
    assert sorted(read, key=parts.index) == parts
    read.clear()
    assemble(parts, tmp_path / "one.tif", Window(400, 650, 300, 9), bands=2, fill=0)
    assert read == [parts[6]]


def test_the_mask_is_0_where_the_classes_are_255(tmp_path: Path) -> None:
    labels = np.full((1, HEIGHT, WIDTH), 254, np.uint8)
    labels[:, 300:900, 5:1000] = 255
    labels[:, 900:1200] = 0
    parts = cut(tmp_path / "p", [850, 850], [1300], DATA)
    valid = cut(tmp_path / "v", [383, 383, 383, 383], [650, 650], labels)
    area = Window(0, 0, HEIGHT, WIDTH)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        assemble(parts, tmp_path / "all.tif", area, bands=2, fill=0, valid=valid)
    labels[:, 4 * 383 :] = 255
    with rasterio.open(tmp_path / "all.tif") as file:
        np.testing.assert_array_equal(file.read(), DATA)
        np.testing.assert_array_equal(file.read_masks(1), np.where(labels[0] == 255, 0, 255))


def test_what_is_held_does_not_grow_with_the_height(tmp_path: Path) -> None:
    """The parts at hand, the rows of tiles that they reach into, and the one being written."""
    width = 2048
    rows = np.zeros((1, 100, width), np.uint8)
    parts = [Part(tmp_path / f"{row}.tif", row, 0, 100, width) for row in range(0, 8000, 100)]
    for part in parts:
        write_part(part, rows)
    peaks = []
    for height in (2000, 8000):
        tracemalloc.start()
        area = Window(0, 0, height, width)
        assemble(parts, tmp_path / "all.tif", area, bands=1, fill=0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] < 1.1 * (10 * 100 + 4 * 512) * width
