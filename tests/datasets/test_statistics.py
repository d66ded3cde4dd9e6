from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from geoseg.classes import ClassScheme
from geoseg.datasets import tiles
from geoseg.datasets.statistics import (
    PixelSample,
    Statistics,
    absent_class_warnings,
    check_references,
    collect_statistics,
)
from geoseg.datasets.tiles import Tile
from geoseg.errors import SourceError
from geoseg.progress import Progress
from geoseg.tiling import Window

MakeTile = Callable[..., Tile]
SCHEME = ClassScheme.from_names(["dark", "bright", "never"])


def statistics_of(values: np.ndarray) -> Statistics:
    """Of ``(bands, count)`` values, all labelled."""
    pixels, mask = values[:, None], np.ones((1, values.shape[1]), bool)
    return Statistics.from_window(pixels, mask, np.zeros(mask.shape, np.uint8), 1)


def test_moments_of_groups_are_those_of_all_values() -> None:
    values = np.random.default_rng(0).normal(1e6, 3, (2, 90))
    total = Statistics((0,))
    for first, end in ((0, 7), (7, 40), (40, 90)):
        total += statistics_of(values[:, first:end])
    assert total.labelled == 90
    np.testing.assert_allclose(total.mean, values.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(total.std, values.std(axis=1), rtol=1e-9)


def test_moments_of_histograms_are_those_of_the_values() -> None:
    values = np.random.default_rng(0).integers(0, 9, (2, 50))
    found = statistics_of(values.astype(np.uint8))
    expected = statistics_of(values.astype(float))
    assert found.labelled == 50
    np.testing.assert_allclose(found.mean, expected.mean)
    np.testing.assert_allclose(found.squares, expected.squares)
    np.testing.assert_array_equal([found.low, found.high], [expected.low, expected.high])
    assert found.low.dtype == found.high.dtype == np.float64


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_sums_of_windows_are_the_statistics_of_the_whole(dtype: str) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 200, (2, 30, 40)).astype(dtype)
    valid = rng.random((30, 40)) > 0.1
    labels = rng.choice([0, 2, 255], (30, 40)).astype(np.uint8)
    windows = [(slice(row, row + 7), slice(0, 40)) for row in range(0, 30, 7)]
    total = Statistics((0, 0, 0))
    for rows, cols in windows:
        total += Statistics.from_window(
            pixels[:, rows, cols], valid[rows, cols], labels[rows, cols], 3
        )
    seen = pixels[:, valid & (labels != 255)].astype(float)
    assert total.class_pixels == tuple(np.bincount(labels[valid & (labels != 255)], minlength=3))
    bands = total.band_table(["a", "b"])
    np.testing.assert_allclose([band["mean"] for band in bands], seen.mean(axis=1))
    np.testing.assert_allclose([band["std"] for band in bands], seen.std(axis=1))
    assert [(band["min"], band["max"]) for band in bands] == list(
        zip(seen.min(axis=1), seen.max(axis=1), strict=True)
    )


def test_statistics_survive_json_to_the_last_bit() -> None:
    rng = np.random.default_rng(1)
    made = Statistics.from_window(
        rng.random((3, 9, 9)), np.ones((9, 9), bool), rng.integers(0, 2, (9, 9)).astype(np.uint8), 2
    )
    again = Statistics.from_json(json.loads(json.dumps(made.to_json())))
    assert again.to_json() == made.to_json()


def test_nothing_labelled_adds_nothing() -> None:
    nothing = Statistics.from_window(
        np.ones((1, 4, 4), np.uint8), np.zeros((4, 4), bool), np.zeros((4, 4), np.uint8), 1
    )
    some = Statistics.from_window(
        np.full((1, 4, 4), 7, np.uint8), np.ones((4, 4), bool), np.zeros((4, 4), np.uint8), 1
    )
    assert nothing.labelled == 0
    assert nothing.band_table(["a"]) == []
    assert (nothing + some).to_json() == (some + nothing).to_json() == some.to_json()
    assert some.band_table(["a"])[0]["std"] == 1  # a constant band


def test_training_statistics_equal_numpy_over_the_labelled_pixels(
    make_tile: MakeTile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "STRIP_PIXELS", 300)  # a few rows at once
    rng = np.random.default_rng(0)
    images = [
        rng.integers(1, 255, (3, 40, 56)).astype(np.uint8),
        rng.integers(90, 255, (3, 33, 20)).astype(np.uint8),
    ]
    labels = [
        rng.choice([0, 1, 255], (1, *image.shape[1:]), p=[0.5, 0.3, 0.2]).astype(np.uint8)
        for image in images
    ]
    images[0][:, :10] = 0
    training = [
        make_tile(f"t{n}", image=image, labels=label, nodata=0)
        for n, (image, label) in enumerate(zip(images, labels, strict=True))
    ]
    found = collect_statistics(training, SCHEME)
    seen = [
        (label[0] != 255) & (image != 0).all(0) for image, label in zip(images, labels, strict=True)
    ]
    values = np.concatenate(
        [image[:, mask] for image, mask in zip(images, seen, strict=True)], axis=1
    )
    ids = np.concatenate([label[0][mask] for label, mask in zip(labels, seen, strict=True)])
    np.testing.assert_allclose(found.mean, values.mean(axis=1))
    np.testing.assert_allclose(found.std, values.std(axis=1))
    assert found.class_pixels == tuple(np.bincount(ids, minlength=3).tolist())
    np.testing.assert_array_equal(found.low, values.min(axis=1))
    np.testing.assert_array_equal(found.high, values.max(axis=1))


def test_a_constant_band_is_left_unscaled(make_tile: MakeTile) -> None:
    image = np.full((3, 16, 16), 40, np.uint8)
    assert collect_statistics(
        [make_tile(image=image, labels=np.zeros((1, 16, 16), np.uint8))], SCHEME
    ).std.tolist() == [1, 1, 1]


def test_deviation_is_exact_far_from_zero(make_tile: MakeTile) -> None:
    image = (1e7 + np.arange(64).reshape(1, 8, 8) % 2).astype(np.float64).repeat(3, axis=0)
    found = collect_statistics(
        [make_tile(image=image, labels=np.zeros((1, 8, 8), np.uint8))], SCHEME
    )
    np.testing.assert_allclose(found.std, 0.5)


def test_a_label_value_without_a_class_is_refused_with_its_count(make_tile: MakeTile) -> None:
    labels = np.zeros((1, 16, 16), np.uint8)
    labels[0, :2] = 9
    with pytest.raises(
        SourceError,
        match=r"value 9 \(32 pixels\), which no class has .*: add it to the classes or to ignore",
    ):
        collect_statistics([make_tile(image=np.ones((3, 16, 16), np.uint8), labels=labels)], SCHEME)


def test_training_without_any_label_is_refused(make_tile: MakeTile) -> None:
    labels = np.full((1, 16, 16), 255, np.uint8)
    with pytest.raises(SourceError, match="no pixel of the training labels is labelled"):
        collect_statistics([make_tile(image=np.ones((3, 16, 16), np.uint8), labels=labels)], SCHEME)


def test_progress_advances_by_tiles_and_only_labels_are_checked_for_validation(
    make_tile: MakeTile,
) -> None:
    class Counting(Progress):
        tiles = 0

        def advance(self, steps: int) -> None:
            self.tiles += steps

    image = np.zeros((3, 16, 16), np.uint8)  # nodata everywhere, yet labelled
    tile = make_tile(image=image, labels=np.zeros((1, 16, 16), np.uint8), nodata=0)
    counting = Counting()
    check_references([tile, tile], SCHEME, counting)
    assert counting.tiles == 2
    check_references([], SCHEME)
    collect_statistics([make_tile("b")], SCHEME, counting)
    assert counting.tiles == 3


def test_validation_labels_are_refused_where_one_is_unknown_or_none_is_known(
    make_tile: MakeTile,
) -> None:
    image = np.ones((3, 16, 16), np.uint8)
    labels = np.full((1, 16, 16), 255, np.uint8)
    with pytest.raises(SourceError, match=r"no pixel of the validation labels .*; check data\.val"):
        check_references([make_tile(image=image, labels=labels)], SCHEME)
    labels[0, 3, 3] = 1
    check_references([make_tile("some", image=image, labels=labels)], SCHEME)
    labels[0, 3, 4] = 9
    with pytest.raises(SourceError, match=r"value 9 \(1 pixels\)"):
        check_references([make_tile("unknown", image=image, labels=labels)], SCHEME)


def test_classes_without_a_training_pixel_are_warned_of() -> None:
    assert absent_class_warnings(Statistics((3, 1)), ["a", "b"]) == []
    assert absent_class_warnings(Statistics((0, 1, 0)), ["a", "b", "c"]) == [
        "no training pixel shows a, c: the model cannot learn it; check data.classes and the "
        "labels "
        "of data.train"
    ]


def test_a_sample_knows_all_pixels_of_rare_classes_and_their_places(make_tile: MakeTile) -> None:
    labels = np.full((1, 40, 30), 255, np.uint8)
    labels[0, 5, 7] = labels[0, 33, 2] = 1
    training = [
        make_tile("none", image=np.ones((3, 40, 30), np.uint8), labels=0 * labels),
        make_tile("some", image=np.ones((3, 40, 30), np.uint8), labels=labels),
    ]
    sample = PixelSample(2, size=50, seed=3)
    collect_statistics(training, ClassScheme.from_names(["a", "b"]), sample=sample)
    assert sorted(map(tuple, sample.places[1].tolist())) == [(1, 5, 7), (1, 33, 2)]
    assert len(sample.places[0]) == 50
    assert (sample.places[0][:, 0] == 0).all()


def test_every_pixel_has_the_same_chance_in_whatever_window_it_comes() -> None:
    drawn = np.zeros((6, 4))
    for seed in range(600):
        sample = PixelSample(1, size=6, seed=seed)
        for row in (0, 1, 4):
            height = {0: 1, 1: 3, 4: 2}[row]
            sample.add(0, Window(row, 0, height, 4), np.zeros((height, 4), np.uint8))
        assert len(np.unique(sample.places[0], axis=0)) == 6
        drawn[sample.places[0][:, 1], sample.places[0][:, 2]] += 1
    assert drawn.sum() == 3600
    assert np.abs(drawn - 150).max() < 50  # 4.5 standard deviations


@pytest.mark.parametrize("check", [collect_statistics, check_references])
def test_a_value_that_nobody_can_have_measured_is_refused_with_its_place(
    make_tile: MakeTile, check: Any
) -> None:
    image = np.random.default_rng(0).uniform(0, 1, (3, 64, 80)).astype(np.float32)
    image[1, 30, 70] = 1e30
    tile = make_tile(image=image)
    check([tile], SCHEME)
    said = (
        r"a\.tif: holds 1 value far beyond 0 to 1 in band 2 .* row 30, column 70; .*data\.nodata: "
    )
    with pytest.raises(SourceError, match=said):
        check([tile], SCHEME, value_range=(0, 1))
    check([make_tile("b", image=image.clip(0, 1))], SCHEME, value_range=(0, 1))
