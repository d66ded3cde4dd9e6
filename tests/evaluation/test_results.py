from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely

import geoseg
from geoseg.classes import ISPRS
from geoseg.datasets.pairing import Pair
from geoseg.evaluation.pairs import ScoringOptions, open_pair
from geoseg.evaluation.results import describe, summarize_scores, warn_of_empty_results
from geoseg.evaluation.scoring import PairScore, score_pair
from geoseg.metrics import PROTOCOLS, BoundaryF1, ConfusionMatrix, scale_iou, summarize

Make = Callable[..., Path]

SHAPE = (64, 80)
OPTIONS = ScoringOptions(ISPRS, 0, False, 3, False)
PLAIN, GEOSEG = PROTOCOLS["plain"], PROTOCOLS["isprs-geoseg"]


def scored(tile: str, predicted: Path, reference: Path, instances: Path | None = None) -> PairScore:
    return score_pair(open_pair(Pair(tile, predicted, reference), instances, OPTIONS), OPTIONS)


@pytest.fixture
def halves(make: Make, predicted: np.ndarray, reference: np.ndarray) -> list[PairScore]:
    """The upper and the lower half of the pair, apart: they share no boundary."""
    scores = []
    for tile, rows in (("a", slice(0, 32)), ("b", slice(32, 64))):
        numbers = (reference[rows] + 1).astype(np.uint16) % 256
        paths = (
            make(f"{tile}_classes.tif", predicted[rows]),
            make(f"{tile}_label.tif", reference[rows]),
            make(f"{tile}_instances.tif", numbers),
        )
        scores.append(scored(tile, *paths))
    return scores


def test_metrics_are_over_the_pixels_of_all_pairs(
    halves: list[PairScore], predicted: np.ndarray, reference: np.ndarray
) -> None:
    data = summarize_scores(halves, OPTIONS, GEOSEG)
    confusion, boundary = ConfusionMatrix(6), BoundaryF1(6, 3)
    confusion.update(reference, predicted)
    for rows in (slice(0, 32), slice(32, 64)):
        boundary.update(reference[rows], predicted[rows])
    for key, value in summarize(confusion, GEOSEG, ISPRS.names).items():
        assert data[key] == value, key
    assert list(data["boundary_f1"]) == list(ISPRS.names)
    present = [index for index in range(5) if boundary.reference_pixels[index]]
    assert data["mean_boundary_f1"] == pytest.approx(boundary.f1[present].mean())
    assert (data["erode"], data["boundary_tolerance"]) == (0, 3)
    assert data["geoseg"] == geoseg.__version__
    assert data["about_protocol"] == GEOSEG.description
    json.dumps(data, allow_nan=False)


def test_each_pair_has_its_own_metrics(halves: list[PairScore]) -> None:
    files = summarize_scores(halves, OPTIONS, PLAIN)["files"]
    assert [entry["tile"] for entry in files] == ["a", "b"]
    for entry, score in zip(files, halves, strict=True):
        expected = summarize(score.confusion, PLAIN, ISPRS.names)
        assert entry == {
            "tile": score.pair.tile,
            "predicted": str(score.pair.predicted.path),
            "reference": str(score.pair.reference.path),
            "resampled": False,
            "pixels": expected["pixels"],
            "overall_accuracy": expected["overall_accuracy"],
            "mean_iou": expected["mean_iou"],
            "mean_f1": expected["mean_f1"],
            "absent_classes": expected["absent_classes"],
        }


def test_objects_are_averaged_by_scale_over_all_pairs(
    halves: list[PairScore], predicted: np.ndarray, reference: np.ndarray
) -> None:
    scales = summarize_scores(halves, OPTIONS, GEOSEG)["scale_iou"]
    numbers = (reference + 1).astype(np.uint16) % 256
    parts = [
        scale_iou(reference[rows], predicted[rows], numbers[rows])
        for rows in (slice(0, 32), slice(32, 64))
    ]
    found = (parts[0] + parts[1]).of_classes(np.array([True] * 5 + [False]))
    assert scales["objects"] == found.iou.size > 2
    assert scales["mean"] == pytest.approx(found.iou.mean())
    assert [(part["from"], part["to"]) for part in scales["bins"]] == [
        (0, 2500),
        (2500, 62500),
        (62500, None),
    ]
    assert [part["objects"] for part in scales["bins"]] == [found.iou.size, 0, 0]
    assert [part["mean"] for part in scales["bins"]] == [scales["mean"], None, None]


def test_without_a_boundary_or_objects_there_is_no_mean_of_them(make: Make) -> None:
    zeros = np.zeros(SHAPE, np.uint8)
    score = scored("a", make("a_classes.tif", zeros), make("a_label.tif", zeros))
    data = summarize_scores([score], OPTIONS, PLAIN)
    assert data["mean_boundary_f1"] is None
    assert "scale_iou" not in data
    assert "mS-IoU" not in describe(data, Path("out"))


def test_a_pair_without_a_pixel_that_could_be_right_is_warned_about(
    make: Make, reference: np.ndarray
) -> None:
    empty, labels = np.full(SHAPE, 255, np.uint8), make("a_label.tif", reference)
    nothing = scored("a", make("a_classes.tif", empty), labels)
    unlabelled = scored("b", make("b_classes.tif", reference), make("b_label.tif", empty))
    good = scored("c", make("c_classes.tif", reference), labels)
    lines = warn_of_empty_results([nothing, good, unlabelled], PLAIN, ISPRS.names)
    assert lines == [
        f"{nothing.pair.predicted.path}: predicts nothing where {labels} has labels",
        f"{unlabelled.pair.reference.path}: has no labelled pixel to compare with",
    ]
    assert summarize_scores([nothing], OPTIONS, PLAIN)["overall_accuracy"] == 0.0
    assert summarize_scores([unlabelled], OPTIONS, PLAIN)["mean_iou"] is None


def test_a_file_of_which_no_object_counts_is_warned_about(
    make: Make, pair: tuple[Path, Path], reference: np.ndarray, tmp_path: Path
) -> None:
    def warnings_of(instances: Path, protocol: str = "plain", tiles: int = 1) -> list[str]:
        scores = [scored("a", *pair, instances)] * tiles
        return warn_of_empty_results(scores, PROTOCOLS[protocol], ISPRS.names)

    far = tmp_path / "far.gpkg"
    geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:4326").to_file(far)
    nowhere = f"{far}: none of its objects lies on labelled pixels of a_label.tif"
    assert warnings_of(far) == [f"{nowhere}; check both coordinate systems"]
    assert warnings_of(far, tiles=3) == [f"{nowhere} or of 2 more; check both coordinate systems"]
    none = make("none.tif", np.zeros(SHAPE, np.uint16))
    assert warnings_of(none) == [
        f"{none}: none of its objects lies on labelled pixels of a_label.tif; "
        "check the numbers it holds"
    ]
    clutter = make("clutter.tif", (reference == 5).astype(np.uint16))
    assert warnings_of(clutter) == []
    assert warnings_of(clutter, "isprs-geoseg") == [
        f"{clutter}: none of its objects has a class that enters the mean, so there is no mS-IoU "
        "of it"
    ]


def test_one_tile_with_objects_is_enough_for_a_file_of_many(
    make: Make, pair: tuple[Path, Path], reference: np.ndarray
) -> None:
    none = scored("a", *pair, make("none.tif", np.zeros(SHAPE, np.uint16)))
    some = scored("b", *pair, make("some.tif", (reference == 1).astype(np.uint16)))
    shared = PairScore(none.pair, some.confusion, some.boundary, some.instances, some.errors)
    assert warn_of_empty_results([none, shared], PLAIN, ISPRS.names) == []
    apart = warn_of_empty_results([none, some], PLAIN, ISPRS.names)
    assert ["none.tif" in line for line in apart] == [True]


def test_the_text_has_the_most_important_metrics(halves: list[PairScore]) -> None:
    data = summarize_scores(halves, ScoringOptions(ISPRS, 2, False, 3, False), GEOSEG)
    lines = describe(data, Path("out")).splitlines()
    accuracy, iou, f1 = (100 * data[key] for key in ("overall_accuracy", "mean_iou", "mean_f1"))
    mean = 100 * data["scale_iou"]["mean"]
    assert lines == [
        "2 pairs, protocol isprs-geoseg, reference eroded by 2 px",
        f"mean IoU {iou:.2f} %, mean F1 {f1:.2f} % over 4 of 6 classes; "
        f"overall accuracy {accuracy:.2f} %",
        "not in the reference, so in no mean: car",
        f"mS-IoU {mean:.2f} % of {data['scale_iou']['objects']} objects: from 0 px {mean:.2f} % "
        f"({data['scale_iou']['objects']}), from 2500 px none (0), from 62500 px none (0)",
        "out/report.html",
    ]
