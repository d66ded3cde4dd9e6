from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from geoseg.classes import ClassScheme
from geoseg.datasets import statistics
from geoseg.datasets.statistics import collect_statistics
from geoseg.datasets.tiles import Tile
from geoseg.errors import SourceError

MakeTile = Callable[..., Tile]
SCHEME = ClassScheme.from_names(["dark", "bright", "never"])


def test_figures_equal_numpy_over_the_labelled_pixels(
    make_tile: MakeTile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "STRIP_PIXELS", 300)  # a few rows at once
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
    tiles = [
        make_tile(f"t{n}", image=image, labels=label, nodata=0)
        for n, (image, label) in enumerate(zip(images, labels, strict=True))
    ]
    found = collect_statistics(tiles, SCHEME)
    seen = [
        (label[0] != 255) & (image != 0).all(0) for image, label in zip(images, labels, strict=True)
    ]
    values = np.concatenate(
        [image[:, mask] for image, mask in zip(images, seen, strict=True)], axis=1
    )
    ids = np.concatenate([label[0][mask] for label, mask in zip(labels, seen, strict=True)])
    np.testing.assert_allclose(found.mean, values.mean(axis=1))
    np.testing.assert_allclose(found.std, values.std(axis=1))
    assert found.class_counts.tolist() == np.bincount(ids, minlength=3).tolist()
    assert (found.low, found.high) == (values.min(), values.max())


def test_a_constant_band_is_left_unscaled(make_tile: MakeTile) -> None:
    image = np.full((3, 16, 16), 40, np.uint8)
    assert collect_statistics(
        [make_tile(image=image, labels=np.zeros((1, 16, 16), np.uint8))], SCHEME
    ).std == (1, 1, 1)


def test_deviation_is_exact_far_from_zero(make_tile: MakeTile) -> None:
    image = (1e7 + np.arange(64).reshape(1, 8, 8) % 2).astype(np.float64).repeat(3, axis=0)
    found = collect_statistics(
        [make_tile(image=image, labels=np.zeros((1, 8, 8), np.uint8))], SCHEME
    )
    np.testing.assert_allclose(found.std, 0.5)


def test_a_label_value_that_is_no_class_is_refused_with_its_count(make_tile: MakeTile) -> None:
    labels = np.zeros((1, 16, 16), np.uint8)
    labels[0, :2] = 9
    with pytest.raises(
        SourceError,
        match=r"value 9 \(32 pixels\) is no class and not ignored; add it to data\.classes",
    ):
        collect_statistics([make_tile(image=np.ones((3, 16, 16), np.uint8), labels=labels)], SCHEME)


def test_training_without_any_label_is_refused(make_tile: MakeTile) -> None:
    labels = np.full((1, 16, 16), 255, np.uint8)
    with pytest.raises(SourceError, match="no pixel of the training labels is labelled"):
        collect_statistics([make_tile(image=np.ones((3, 16, 16), np.uint8), labels=labels)], SCHEME)
