from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from geoseg.training.boundaries import boundary_labels


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_boundary_is_where_another_class_is_within_two_pixels(
    height: int, width: int, classes: int, seed: int
) -> None:
    torch.manual_seed(seed)
    labels = torch.randint(classes, (2, height, width))
    labels[torch.rand(labels.shape) < 0.3] = 255
    found = boundary_labels(labels)
    for image in range(2):
        known = [(r, c) for r in range(height) for c in range(width) if labels[image, r, c] != 255]
        for row in range(height):
            for col in range(width):
                near = {
                    int(labels[image, r, c])
                    for r, c in known
                    if (r - row) ** 2 + (c - col) ** 2 <= 4
                }
                own = int(labels[image, row, col])
                assert found[image, row, col] == (255 if own == 255 else bool(near - {own}))


def test_a_window_cut_from_an_object_has_no_boundary() -> None:
    labels = torch.zeros(1, 8, 8, dtype=torch.int64)
    labels[0, 3] = 255
    assert set(boundary_labels(labels).unique().tolist()) == {0, 255}
