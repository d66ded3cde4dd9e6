from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio.transform import Affine

from geoseg.classes import ISPRS
from geoseg.commands.evaluate import run
from geoseg.errors import ConfigError
from geoseg.evaluation.scoring import Rules, check_pair, judge
from geoseg.metrics import erode

Make = Callable[..., Path]

SHAPE = (64, 80)


@pytest.mark.parametrize("rows", [1, 2, 5, 17, 63])
def test_strips_change_nothing(pair: tuple[Path, Path], make: Make, rows: int) -> None:
    numbers = np.kron(np.arange(80).reshape(8, 10), np.ones((8, 8), int)).astype(np.int32)
    objects = make("a_instances.tif", numbers)
    rules = Rules(ISPRS, 3, False, 2, False)
    candidate = check_pair("a", *pair, objects, rules)
    whole, strips = judge(candidate, rules), judge(candidate, rules, rows * SHAPE[1])
    np.testing.assert_array_equal(strips.confusion.matrix, whole.confusion.matrix)
    np.testing.assert_array_equal(strips.confusion.missed, whole.confusion.missed)
    np.testing.assert_array_equal(strips.boundary.f1, whole.boundary.f1)
    np.testing.assert_array_equal(strips.wrong, whole.wrong)
    assert strips.objects is not None
    assert whole.objects is not None
    np.testing.assert_array_equal(strips.objects.iou, whole.objects.iou)
    assert whole.objects.iou.size > 50


def test_another_grid_is_refused_and_resampled_when_told(
    make: Make, pair: tuple[Path, Path], predicted: np.ndarray, tmp_path: Path
) -> None:
    """A prediction at half the pixel size, three rows lower, is brought back by the nearest pixel."""
    fine = np.kron(predicted, np.ones((2, 2), np.uint8))
    placed = Affine(0.25, 0, 500_000.0, 0, -0.25, 5_400_000.0 - 3 * 0.5)
    moved = make("fine_classes.tif", fine, transform=placed)
    with pytest.raises(
        ConfigError,
        match=r"128 x 160 pixels of 0.25 from \(500000, 5399998.5\) in EPSG:32632 do not",
    ):
        run(moved, pair[1], "isprs", tmp_path / "out")
    data = run(moved, pair[1], "isprs", tmp_path / "out", resample=True).data
    expected = np.full(SHAPE, 255, np.uint8)
    expected[3:] = predicted[:-3]
    plain = run(make("expected.tif", expected), pair[1], "isprs", tmp_path / "out").data
    assert (data["confusion_matrix"], data["missed"]) == (
        plain["confusion_matrix"],
        plain["missed"],
    )
    assert data["files"][0]["resampled"]


def test_resampling_does_not_depend_on_strips_and_needs_a_place(
    make: Make, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    other = make(
        "other_classes.tif",
        np.kron(np.eye(8, 10, dtype=np.uint8), np.ones((8, 8), np.uint8)),
        crs="EPSG:32633",
        transform=Affine(0.5, 0.01, 59_600.0, 0, -0.5, 5_427_400.0),
    )
    rules = Rules(ISPRS, 0, False, 3, True)
    candidate = check_pair("a", other, pair[1], None, rules)
    whole, strips = judge(candidate, rules), judge(candidate, rules, 7 * SHAPE[1])
    np.testing.assert_array_equal(strips.confusion.matrix, whole.confusion.matrix)
    nowhere = make("nowhere_classes.tif", np.zeros((10, 10), np.uint8), crs=None, transform=None)
    with pytest.raises(
        ConfigError,
        match="10 x 10 pixels without georeferencing cannot be resampled; give it a place",
    ):
        run(nowhere, pair[1], "isprs", tmp_path / "out", resample=True)


def test_labels_without_georeference_are_compared_by_size(
    make: Make, predicted: np.ndarray, reference: np.ndarray, tmp_path: Path
) -> None:
    plain = make("a_label.png", reference, crs=None, transform=None, driver="PNG")
    assert run(make("a_classes.tif", predicted), plain, "isprs", tmp_path / "out").exit_code == 0
    other = make("b_label.tif", reference, crs="EPSG:32633")
    with pytest.raises(
        ConfigError, match=r"in EPSG:32632 do not lie on the grid of .* in EPSG:32633"
    ):
        run(tmp_path / "a_classes.tif", other, "isprs", tmp_path / "out")


def test_a_reference_that_is_eroded_is_not_eroded_again_unless_told(
    make: Make, predicted: np.ndarray, reference: np.ndarray, tmp_path: Path
) -> None:
    guess = make("pred/area1_classes.tif", predicted)
    named = make("gts/area1_noBoundary.tif", reference)
    with pytest.raises(
        ConfigError,
        match=r"its name says 'noBoundary'.; give the full labels, --erode 0 to take it",
    ):
        run(guess, named, "isprs", tmp_path / "out", protocol="isprs-geoseg")
    seen = make("gts/area1.tif", erode(reference, 3))
    with pytest.raises(ConfigError, match="no two of its classes touch"):
        run(guess, seen, "isprs", tmp_path / "out", protocol="isprs-geoseg")
    for path in (named, seen):
        assert (
            run(guess, path, "isprs", tmp_path / "out", protocol="isprs-geoseg", erode=0).data[
                "erode"
            ]
            == 0
        )
        assert (
            run(guess, path, "isprs", tmp_path / "out", protocol="isprs-geoseg", erode=3).data[
                "erode"
            ]
            == 3
        )
    again = run(guess, seen, "isprs", tmp_path / "out", erode=0).data
    full = run(guess, make("full.tif", reference), "isprs", tmp_path / "out", erode=3).data
    assert again["confusion_matrix"] == full["confusion_matrix"]
    assert again["mean_boundary_f1"] is None
