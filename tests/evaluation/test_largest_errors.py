from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.io import MemoryFile

from geoseg.classes import ISPRS
from geoseg.datasets.pairing import Pair
from geoseg.evaluation.imagery import Imagery
from geoseg.evaluation.largest_errors import ErrorCell, draw_largest_errors
from geoseg.evaluation.pairs import ScoringOptions, open_pair
from geoseg.evaluation.scoring import PairScore, score_pair
from geoseg.metrics import erode

Make = Callable[..., Path]

RED, VIOLET = (214, 39, 40, 255), (148, 103, 189, 255)
RIGHT, UNLABELLED, UNCERTAIN = (245, 245, 245, 255), (0, 0, 0, 0), (128, 128, 128, 255)


def scored(options: ScoringOptions, predicted: Path, reference: Path) -> PairScore:
    return score_pair(open_pair(Pair("a", predicted, reference), None, options), options)


def draw(scores: list[PairScore], chosen: ScoringOptions) -> list[ErrorCell]:
    return draw_largest_errors(scores, chosen, Imagery(None, only_pair=False))


def options(radius: int = 0) -> ScoringOptions:
    return ScoringOptions(ISPRS, radius, False, 3, False)


def decoded(png: bytes) -> np.ndarray:
    with MemoryFile(png) as memory, memory.open() as picture:
        return np.moveaxis(picture.read(), 0, -1)


def painted(labels: np.ndarray) -> np.ndarray:
    """The colours of class ids, grey for 254 and clear for 255, as a table gives them."""
    table = np.full((256, 4), 255, np.uint8)
    table[:6, :3], table[254], table[255] = ISPRS.colors, UNCERTAIN, UNLABELLED
    return table[labels]


@pytest.mark.parametrize("radius", [0, 3])
def test_pictures_show_labels_prediction_and_what_differs(
    radius: int, pair: tuple[Path, Path], predicted: np.ndarray, reference: np.ndarray
) -> None:
    (cell,) = draw([scored(options(radius), *pair)], options(radius))
    eroded = erode(reference, radius)
    assert cell.title == "a_label.tif, rows 0 to 63, columns 0 to 79"
    assert cell.wrong == ((eroded != predicted) & (eroded != 255)).sum()
    np.testing.assert_array_equal(decoded(cell.reference), painted(reference))
    np.testing.assert_array_equal(decoded(cell.predicted), painted(predicted))
    expected = np.full((64, 80, 4), RIGHT)
    expected[eroded != predicted] = RED
    expected[predicted >= 254] = VIOLET
    expected[eroded == 255] = UNLABELLED
    np.testing.assert_array_equal(decoded(cell.difference), expected)
    assert (decoded(cell.difference) == VIOLET).all(axis=2).any()


def drawn(make: Make, predicted: np.ndarray, reference: np.ndarray, radius: int) -> list[ErrorCell]:
    pair = make("a_classes.tif", predicted), make("a_label.tif", reference)
    return draw([scored(options(radius), *pair)], options(radius))


def test_squares_come_by_number_of_errors_and_right_ones_not_at_all(make: Make) -> None:
    reference = np.zeros((1100, 700), np.uint8)
    predicted = reference.copy()
    predicted[600:610, 600:700] = 4
    predicted[1050:1060, 20:30] = 4
    predicted[1030:1040, 520:530] = 4
    cells = drawn(make, predicted, reference, 0)
    assert [(cell.title, cell.wrong) for cell in cells] == [
        ("a_label.tif, rows 512 to 1023, columns 512 to 699", 1000),
        ("a_label.tif, rows 1024 to 1099, columns 0 to 511", 100),
        ("a_label.tif, rows 1024 to 1099, columns 512 to 699", 100),
    ]


def test_large_squares_are_thinned_out_to_at_most_320_pixels(make: Make) -> None:
    reference = np.random.default_rng(0).choice(6, (512, 330)).astype(np.uint8)
    predicted = np.roll(reference, 1)
    (cell,) = drawn(make, predicted, reference, 0)
    np.testing.assert_array_equal(decoded(cell.reference), painted(reference)[::2, ::2])
    np.testing.assert_array_equal(decoded(cell.predicted), painted(predicted)[::2, ::2])
    (cell,) = drawn(make, predicted[:320, :320], reference[:320, :320], 0)
    assert decoded(cell.reference).shape == (320, 320, 4)
    (cell,) = drawn(make, predicted[:321, :321], reference[:321, :321], 0)
    assert decoded(cell.reference).shape == (161, 161, 4)


def test_a_square_is_eroded_by_what_lies_around_it(make: Make) -> None:
    reference = np.zeros((1060, 1060), np.uint8)
    reference[:511], reference[:, :511] = 1, 1  # classes meet one pixel outside the last square
    reference[1020:, 1020:] = 2
    predicted = np.where(reference == 0, 3, reference).astype(np.uint8)
    cells = {cell.title: cell for cell in drawn(make, predicted, reference, 2)}
    cell = cells["a_label.tif, rows 512 to 1023, columns 512 to 1023"]
    eroded = erode(reference, 2)[512:1024, 512:1024]
    expected = np.where((eroded == 255)[..., None], UNLABELLED, RED)
    expected[eroded == 2] = RIGHT
    np.testing.assert_array_equal(decoded(cell.difference), expected[::2, ::2])
    assert (eroded[0] == 255).all()
    assert (eroded[:, 0] == 255).all()
    assert (eroded[505:, 510] == 255).any()


def test_at_most_six_squares_of_all_pairs_are_drawn(make: Make) -> None:
    scores = []
    for wrong in (3, 9, 5, 1, 8, 2, 7, 0):
        predicted = np.zeros((20, 20), np.uint8)
        predicted[0, :wrong] = 1
        pair = make(f"{wrong}_classes.tif", predicted), make(f"{wrong}.tif", predicted * 0)
        scores.append(scored(options(), *pair))
    cells = draw(scores, options())
    assert [cell.wrong for cell in cells] == [9, 8, 7, 5, 3, 2]
    assert [cell.title.split(",")[0] for cell in cells] == [f"{n}.tif" for n in (9, 8, 7, 5, 3, 2)]
    assert draw(scores[-1:], options()) == []


def test_the_middle_of_a_square_is_given_as_map_programs_take_it(make_raster: Make) -> None:
    labels = np.zeros((1, 40, 80), np.uint8)
    for crs, grid, expected in (
        (
            "EPSG:32632",
            Affine(0.5, 0, 500_000, 0, -0.5, 5_400_000),
            r"middle at 500020\.00,5399990\.00 in EPSG:32632; "
            r"latitude 48\.75\d{4}, longitude 9\.0002\d\d",
        ),
        (
            "EPSG:4326",
            Affine(1e-5, 0, 9, 0, -1e-5, 48),
            r"middle at 9\.000400,47\.999800 in EPSG:4326; "
            r"latitude 47\.999800, longitude 9\.000400",
        ),
        (None, Affine(0.5, 0, 10, 0, -0.5, 20), r"middle at 30\.00,10\.00"),
        (None, None, ""),
    ):
        files = [
            make_raster(f"{name}.tif", data=labels + wrong, crs=crs, transform=grid)
            for wrong, name in enumerate(("a_classes", "a_label"))
        ]
        (cell,) = draw([scored(options(), *files)], options())
        assert re.fullmatch(expected, cell.place)
