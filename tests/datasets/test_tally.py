from __future__ import annotations

import json

import numpy as np
import pytest

from geoseg.datasets.tally import Tally


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_sums_of_windows_are_the_figures_of_the_whole(dtype: str) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 200, (2, 30, 40)).astype(dtype)
    valid = rng.random((30, 40)) > 0.1
    labels = rng.choice([0, 2, 255], (30, 40)).astype(np.uint8)
    windows = [(slice(row, row + 7), slice(0, 40)) for row in range(0, 30, 7)]
    total = Tally((0, 0, 0))
    for rows, cols in windows:
        total += Tally.of(pixels[:, rows, cols], valid[rows, cols], labels[rows, cols], 3)
    seen = pixels[:, valid & (labels != 255)].astype(float)
    assert total.class_pixels == tuple(np.bincount(labels[valid & (labels != 255)], minlength=3))
    bands = total.bands(["a", "b"])
    np.testing.assert_allclose([band["mean"] for band in bands], seen.mean(axis=1))
    np.testing.assert_allclose([band["std"] for band in bands], seen.std(axis=1))
    assert [(band["min"], band["max"]) for band in bands] == list(
        zip(seen.min(axis=1), seen.max(axis=1), strict=True)
    )


def test_a_tally_survives_json_to_the_last_bit() -> None:
    rng = np.random.default_rng(1)
    tally = Tally.of(
        rng.random((3, 9, 9)), np.ones((9, 9), bool), rng.integers(0, 2, (9, 9)).astype(np.uint8), 2
    )
    again = Tally.read(json.loads(json.dumps(tally.document())))
    assert again.document() == tally.document()


def test_nothing_labelled_adds_nothing() -> None:
    nothing = Tally.of(
        np.ones((1, 4, 4), np.uint8), np.zeros((4, 4), bool), np.zeros((4, 4), np.uint8), 1
    )
    some = Tally.of(
        np.full((1, 4, 4), 7, np.uint8), np.ones((4, 4), bool), np.zeros((4, 4), np.uint8), 1
    )
    assert nothing.labelled == 0
    assert nothing.bands(["a"]) == []
    assert (nothing + some).document() == (some + nothing).document() == some.document()
    assert some.bands(["a"])[0]["std"] == 1  # a constant band
