from collections import Counter

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from geoseg.raster.overviews import count_overviews, halve_by_mean, halve_by_mode, write_overviews

SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=7)
LABELS = arrays(np.uint8, SHAPES, elements=st.sampled_from([0, 1, 2, 3, 255]))
VALUES = arrays(np.uint8, SHAPES)


def squares(values):
    """Each 2 x 2 square in reading order, an odd last row or column doubled."""
    height, width = values.shape
    padded = np.pad(values, ((0, height % 2), (0, width % 2)), mode="edge")
    for row in range(0, height, 2):
        for col in range(0, width, 2):
            yield padded[row : row + 2, col : col + 2].ravel().tolist()


@given(LABELS)
def test_mode_has_most_votes_among_the_valid_and_the_first_wins_ties(labels):
    half = halve_by_mode(labels, labels != 255)
    assert half.shape == (-(-labels.shape[0] // 2), -(-labels.shape[1] // 2))
    for square, mode in zip(squares(labels), half.ravel().tolist(), strict=True):
        votes = Counter(value for value in square if value != 255)
        assert mode == (votes.most_common(1)[0][0] if votes else 255)


@given(VALUES)
def test_mean_counts_the_valid_alone(values):
    half = halve_by_mean(values, values != 0)
    for square, mean in zip(squares(values), half.ravel().tolist(), strict=True):
        valid = [value for value in square if value]
        assert mean == (int(sum(valid) / len(valid) + 0.5) if valid else 0)


@pytest.mark.parametrize(
    ("height", "width", "levels"),
    [(512, 512, 0), (513, 20, 1), (1, 1025, 2), (1500, 1700, 2), (3, 8300, 5), (2100, 3, 3)],
)
def test_levels_go_down_to_one_tile(tmp_path, make_raster, height, width, levels):
    base = make_raster(bands=1, height=height, width=width)
    made = write_overviews(
        base, tmp_path, halve_by_mode, count_overviews(height, width), nodata=255
    )
    assert len(made) == levels
    with rasterio.open(base) as file:
        expected = file.read(1)
    for path in made:
        expected = halve_by_mode(expected, expected != 255)
        with rasterio.open(path) as file:
            assert (file.read(1) == expected).all()
            tile = tuple(min(512, 16 * -(-side // 16)) for side in file.shape)
            assert (file.block_shapes, file.compression.name) == ([tile], "zstd")


@pytest.mark.parametrize("bands", [1, 2])
def test_a_masked_raster_has_masked_overviews(tmp_path, make_raster, bands):
    base = make_raster(bands=bands, height=1100, width=900)
    mask = np.zeros((1100, 900), np.uint8)
    mask[:503, 41:] = 255
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(base, "r+") as file:
        data = file.read()
        file.write_mask(mask)
    level, _ = write_overviews(base, tmp_path, halve_by_mean, 2, nodata=None)
    with rasterio.open(level) as file:
        for band in range(1, bands + 1):
            assert (file.read(band) == halve_by_mean(data[band - 1], mask > 0)).all()
        some = mask[::2, ::2] | mask[1::2, ::2] | mask[::2, 1::2] | mask[1::2, 1::2]
        assert (file.read_masks(1) == some).all()
