"""What is compared, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geoseg.errors import ModelError
from geoseg.export.agreement import Agreement, compare, generated_tiles
from geoseg.models import Model


def test_differences_and_labels_are_counted_over_all_tiles() -> None:
    tiles = [np.zeros((1, 2, 4, 5), np.float32), np.ones((2, 2, 3, 3), np.float32)]

    def run(tile: np.ndarray) -> np.ndarray:
        moved = tile + np.float32(0)
        moved[0, 0, 0, 0] += 0.25  # the classes tie elsewhere, which goes to the first
        moved[0, 1, 1, 1] += 0.125
        return moved

    found = compare(run, torch.nn.Identity(), tiles)
    assert found == Agreement(0.25, (38 - 2) / 38, 38)


def test_another_shape_is_refused() -> None:
    with pytest.raises(ModelError, match=r"gives \(1, 2, 2, 2\) for a tile of \(1, 2, 4, 4\)"):
        compare(lambda t: t[..., :2, :2], torch.nn.Identity(), [np.zeros((1, 2, 4, 4), np.float32)])


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ModelError, match=r"no numbers.*nothing was written.*precision fp32"):
        compare(
            lambda t: np.full_like(t, np.nan), torch.nn.Identity(), [np.ones((1, 2, 4, 4), "f4")]
        )


@pytest.mark.parametrize(("difference", "labels"), [(0.0011, 1.0), (0.0, 0.9989)])
def test_what_is_not_the_network_is_refused(difference: float, labels: float) -> None:
    Agreement(0.001, 0.999, 1).check("it")
    with pytest.raises(ModelError, match=r"it differs from the model .*nothing was written"):
        Agreement(difference, labels, 1).check("it")


def test_generated_tiles_are_as_large_as_asked_and_about_standardised(
    exported_model: Model,
) -> None:
    tiles = generated_tiles(exported_model.card, [64, 17])
    assert [tile.shape for tile in tiles] == [(1, 2, 64, 64), (1, 2, 17, 17)]
    assert all(tile.dtype == np.float32 for tile in tiles)
    assert abs(tiles[0].mean()) < 0.5
    assert 0.3 < tiles[0].std() < 1.5
