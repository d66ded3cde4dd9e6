from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio.transform import Affine

from geoseg.classes import ISPRS
from geoseg.datasets.pairing import Pair
from geoseg.errors import SourceError
from geoseg.evaluation.pairs import RasterPair, ScoringOptions, open_pair
from geoseg.evaluation.scoring import score_pair, score_pairs
from geoseg.metrics import BoundaryF1, ConfusionMatrix, erode, scale_iou
from geoseg.progress import Progress

Make = Callable[..., Path]

SHAPE = (64, 80)
ERODING = ScoringOptions(ISPRS, 3, False, 2, False)
PLAIN = ScoringOptions(ISPRS, 0, False, 3, True)


def opened(pair: tuple[Path, Path], instances: Path | None = None) -> RasterPair:
    return open_pair(Pair("a", *pair), instances, PLAIN)


@pytest.fixture
def numbers() -> np.ndarray:
    return np.kron(np.arange(80).reshape(8, 10), np.ones((8, 8), int)).astype(np.int32)


def test_a_score_is_that_of_the_whole_arrays(
    make: Make,
    pair: tuple[Path, Path],
    predicted: np.ndarray,
    reference: np.ndarray,
    numbers: np.ndarray,
) -> None:
    score = score_pair(opened(pair, make("a_instances.tif", numbers)), ERODING)
    confusion, boundary = ConfusionMatrix(6), BoundaryF1(6, 2)
    confusion.update(erode(reference, 3), predicted)
    boundary.update(reference, predicted)
    np.testing.assert_array_equal(score.confusion.matrix, confusion.matrix)
    np.testing.assert_array_equal(score.confusion.missed, confusion.missed)
    np.testing.assert_array_equal(score.boundary.f1, boundary.f1)
    assert score.instances is not None
    expected = scale_iou(reference, predicted, numbers)
    np.testing.assert_array_equal(score.instances.iou, expected.iou)
    np.testing.assert_array_equal(score.instances.class_id, expected.class_id)
    assert score.errors.tolist() == [
        [confusion.matrix.sum() + confusion.missed.sum() - np.trace(confusion.matrix)]
    ]
    assert score_pair(opened(pair), PLAIN).instances is None


@pytest.mark.parametrize("rows", [1, 2, 5, 17, 63])
def test_strips_change_nothing(
    pair: tuple[Path, Path], make: Make, numbers: np.ndarray, rows: int
) -> None:
    candidate = opened(pair, make("a_instances.tif", numbers))
    whole, strips = score_pair(candidate, ERODING), score_pair(candidate, ERODING, rows * SHAPE[1])
    np.testing.assert_array_equal(strips.confusion.matrix, whole.confusion.matrix)
    np.testing.assert_array_equal(strips.confusion.missed, whole.confusion.missed)
    np.testing.assert_array_equal(strips.boundary.f1, whole.boundary.f1)
    np.testing.assert_array_equal(strips.errors, whole.errors)
    assert strips.instances is not None
    assert whole.instances is not None
    np.testing.assert_array_equal(strips.instances.iou, whole.instances.iou)
    assert whole.instances.iou.size > 50


@pytest.mark.parametrize("tolerance", [0, 1, 6])
def test_the_halo_reaches_as_far_as_boundaries_look(
    pair: tuple[Path, Path], tolerance: int
) -> None:
    options = ScoringOptions(ISPRS, 1, False, tolerance, False)
    whole, strips = score_pair(opened(pair), options), score_pair(opened(pair), options, 1)
    np.testing.assert_array_equal(strips.boundary.f1, whole.boundary.f1)
    np.testing.assert_array_equal(strips.boundary.precision, whole.boundary.precision)


@pytest.mark.parametrize("strip_pixels", [2**21, 1100 * 300, 1100 * 7, 1])
def test_errors_are_counted_by_squares_of_512_pixels(make: Make, strip_pixels: int) -> None:
    rng = np.random.default_rng(0)
    reference = rng.choice(np.array([0, 1, 255], np.uint8), (600, 1100))
    predicted = rng.choice(np.array([0, 1, 254, 255], np.uint8), (600, 1100))
    pair = make("a_classes.tif", predicted), make("a_label.tif", reference)
    wrong = (reference != predicted) & (reference != 255)
    expected = [
        [wrong[row : row + 512, col : col + 512].sum() for col in (0, 512, 1024)]
        for row in (0, 512)
    ]
    assert score_pair(opened(pair), PLAIN, strip_pixels).errors.tolist() == expected


def test_resampled_predictions_score_the_same_in_strips(
    make: Make, pair: tuple[Path, Path]
) -> None:
    other = make(
        "other_classes.tif",
        np.kron(np.eye(8, 10, dtype=np.uint8), np.ones((8, 8), np.uint8)),
        crs="EPSG:32633",
        transform=Affine(0.5, 0.01, 59_600.0, 0, -0.5, 5_427_400.0),
    )
    whole = score_pair(opened((other, pair[1])), PLAIN)
    strips = score_pair(opened((other, pair[1])), PLAIN, 7 * SHAPE[1])
    np.testing.assert_array_equal(strips.confusion.matrix, whole.confusion.matrix)


def test_a_prediction_without_a_place_cannot_be_resampled(
    make: Make, pair: tuple[Path, Path]
) -> None:
    nowhere = make("nowhere_classes.tif", np.zeros((10, 10), np.uint8), crs=None, transform=None)
    message = "10 x 10 pixels without georeferencing cannot be resampled; give it a place"
    with pytest.raises(SourceError, match=message):
        score_pair(opened((nowhere, pair[1])), PLAIN)


def test_a_reference_in_which_no_classes_touch_is_refused_where_it_would_be_eroded_again(
    make: Make, predicted: np.ndarray, reference: np.ndarray
) -> None:
    refusing = ScoringOptions(ISPRS, 3, True, 3, False)
    guess = make("a_classes.tif", predicted)
    eroded = guess, make("eroded.tif", erode(reference, 3))
    message = r"no two of its classes touch\); give the full labels, --erode 0 .*--erode 3 to"
    with pytest.raises(SourceError, match=message):
        score_pair(opened(eroded), refusing)
    score = score_pair(opened(eroded), ERODING)
    assert score.boundary.reference_pixels.sum() == 0
    full = guess, make("full.tif", reference)
    assert score_pair(opened(full), refusing).confusion.matrix.any()
    for only in (np.zeros(SHAPE, np.uint8), np.full(SHAPE, 255, np.uint8)):
        only[:, 40:] = 255  # one class, as many tiles show: no two can touch
        score_pair(opened((guess, make("one.tif", only))), refusing)


def test_pairs_that_cannot_be_read_are_named_and_progress_is_reported(
    make: Make, pair: tuple[Path, Path]
) -> None:
    class Listener(Progress):
        def __init__(self) -> None:
            self.heard: list[object] = []

        def begin(self, name: str, total: int) -> None:
            self.heard.append((name, total))

        def advance(self, count: int) -> None:
            self.heard.append(count)

        def end(self) -> None:
            self.heard.append("end")

    listener = Listener()
    bad = opened((make("b_classes.tif", np.full(SHAPE, 9, np.uint8)), pair[1]))
    scores, failures = score_pairs([bad, opened(pair)], PLAIN, listener)
    assert [score.pair.predicted.path for score in scores] == [pair[0]]
    assert len(failures) == 1
    assert "b_classes.tif: holds class id 9" in failures[0]
    assert listener.heard == [("evaluate", 2), 1, 1, "end"]
