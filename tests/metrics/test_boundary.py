from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geoseg.errors import ConfigError
from geoseg.metrics import BoundaryF1, erode

SHAPE = (9, 11)
labels = arrays(
    np.uint8, SHAPE, elements=st.sampled_from([0, 0, 0, 0, 1, 3, 255]), fill=st.just(np.uint8(0))
)
predictions = arrays(
    np.uint8, SHAPE, elements=st.sampled_from([0, 0, 0, 1, 3, 254, 255]), fill=st.just(np.uint8(0))
)
places = st.integers(0, SHAPE[0] - 1)


def near(row: int, col: int, radius: int) -> list[tuple[int, int]]:
    """All pixels of the array within `radius`."""
    return [
        (r, c)
        for r in range(SHAPE[0])
        for c in range(SHAPE[1])
        if (r - row) ** 2 + (c - col) ** 2 <= radius * radius
    ]


def eroded_by_looking(reference: np.ndarray, radius: int) -> np.ndarray:
    out = reference.copy()
    for row, col in np.ndindex(SHAPE):
        if any(reference[p] not in (255, reference[row, col]) for p in near(row, col, radius)):
            out[row, col] = 255
    return out


def boundary_by_looking(array: np.ndarray) -> np.ndarray:
    """Pixels beside another class, as a plain loop finds them."""
    out = np.zeros(SHAPE, bool)
    for row, col in np.ndindex(SHAPE):
        beside = [(row + 1, col), (row - 1, col), (row, col + 1), (row, col - 1)]
        inside = [(r, c) for r, c in beside if 0 <= r < SHAPE[0] and 0 <= c < SHAPE[1]]
        out[row, col] = array[row, col] != 255 and any(
            array[p] not in (255, array[row, col]) for p in inside
        )
    return out


@given(labels, st.integers(0, 6))
def test_erosion_equals_a_disc_around_every_pixel(reference: np.ndarray, radius: int) -> None:
    np.testing.assert_array_equal(erode(reference, radius), eroded_by_looking(reference, radius))


@given(labels, st.integers(0, 4), st.integers(1, 9), st.integers(1, 11))
def test_erosion_does_not_depend_on_windows_with_a_halo(
    reference: np.ndarray, radius: int, height: int, width: int
) -> None:
    out = np.zeros_like(reference)
    for row in range(0, SHAPE[0], height):
        for col in range(0, SHAPE[1], width):
            top, left = max(0, row - radius), max(0, col - radius)
            piece = erode(
                reference[top : row + height + radius, left : col + width + radius], radius
            )
            out[row : row + height, col : col + width] = piece[row - top :, col - left :][
                :height, :width
            ]
    np.testing.assert_array_equal(out, erode(reference, radius))


def test_radius_3_takes_the_disc_and_not_the_square() -> None:
    reference = np.zeros((9, 9), np.uint8)
    reference[4, 4] = 1
    gone = erode(reference, 3) == 255
    assert gone.sum() == 29  # pixel centres within 3 of the centre
    assert gone[4, 1]
    assert not gone[2, 1]


def test_ignore_pixels_and_the_border_are_not_another_class() -> None:
    reference = np.zeros((6, 6), np.uint8)
    reference[:3] = 255
    np.testing.assert_array_equal(erode(reference, 3), reference)


@given(labels, predictions, st.integers(0, 3))
def test_boundary_f1_equals_a_plain_loop(
    reference: np.ndarray, predicted: np.ndarray, tolerance: int
) -> None:
    counter = BoundaryF1(4, tolerance)
    counter.update(reference, predicted)
    known = np.where((reference == 255) | (predicted == 254), 255, predicted)
    ours, theirs = boundary_by_looking(reference), boundary_by_looking(known)
    for class_id in range(4):
        mine, other = ours & (reference == class_id), theirs & (known == class_id)

        def share(of: np.ndarray, to: np.ndarray) -> float:
            hits = [any(to[p] for p in near(row, col, tolerance)) for row, col in np.argwhere(of)]
            return float(np.mean(hits)) if hits else float("nan")

        recall, precision = share(mine, other), share(other, mine)
        np.testing.assert_allclose(
            [counter.recall[class_id], counter.precision[class_id]], [recall, precision]
        )
        if mine.any() and other.any() and recall + precision > 0:
            assert counter.f1[class_id] == pytest.approx(
                2 * recall * precision / (recall + precision)
            )
        elif mine.any():
            assert counter.f1[class_id] == 0
        else:
            assert np.isnan(counter.f1[class_id])


@given(labels, predictions, st.integers(1, 9), st.integers(1, 11))
def test_boundary_counts_do_not_depend_on_windows(
    reference: np.ndarray, predicted: np.ndarray, height: int, width: int
) -> None:
    whole, pieces = BoundaryF1(4, 2), BoundaryF1(4, 2)
    whole.update(reference, predicted)
    for row in range(0, SHAPE[0], height):
        for col in range(0, SHAPE[1], width):
            top, left = max(0, row - whole.halo), max(0, col - whole.halo)
            seen = slice(top, row + height + whole.halo), slice(left, col + width + whole.halo)
            core = slice(row - top, row - top + height), slice(col - left, col - left + width)
            pieces.update(reference[seen], predicted[seen], core)
    for metric in ("reference_pixels", "recall", "precision", "f1"):
        np.testing.assert_array_equal(getattr(pieces, metric), getattr(whole, metric))
    assert whole.halo == 3


def test_more_classes_than_bits_are_counted_alike() -> None:
    reference = np.random.default_rng(0).integers(0, 3, SHAPE).astype(np.uint8)
    predicted = np.random.default_rng(1).integers(0, 3, SHAPE).astype(np.uint8)
    few, many = BoundaryF1(3, 1), BoundaryF1(20, 1)
    few.update(reference, predicted)
    many.update(reference + np.uint8(15), predicted + np.uint8(15))
    np.testing.assert_array_equal(many.f1[15:18], few.f1)
    assert np.isnan(np.delete(many.f1, [15, 16, 17])).all()


def test_counts_add_up_and_negative_radii_are_refused() -> None:
    reference, predicted = np.eye(5, dtype=np.uint8), np.eye(5, k=1, dtype=np.uint8)
    once, twice = BoundaryF1(2, 0), BoundaryF1(2, 0)
    once.update(reference, predicted)
    twice.update(reference, predicted)
    both = once + twice
    assert (both.reference_pixels == 2 * once.reference_pixels).all()
    np.testing.assert_array_equal(both.f1, once.f1)
    assert (once.reference_pixels == twice.reference_pixels).all()
    assert (once + BoundaryF1(2, 0)).tolerance == 0
    for other in (BoundaryF1(2, 1), BoundaryF1(3, 0)):
        with pytest.raises(ConfigError, match="cannot be added"):
            once + other
    assert BoundaryF1(2).tolerance == 3
    with pytest.raises(ConfigError, match="erosion by -1 pixels; use 0"):
        erode(reference, -1)
    with pytest.raises(ConfigError, match="a tolerance of -1 pixels"):
        BoundaryF1(2, -1)
