"""A small labelled world: two classes that brightness tells apart, cut into tiles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from geoseg.classes import ClassScheme
from geoseg.training.tiles import Tile, open_tile

SCHEME = ClassScheme.from_names(["dark", "bright"])

MakeTile = Callable[..., Tile]


def checkered(height: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """An image of dark and bright squares of 16 pixels, and its labels."""
    rng = np.random.default_rng(seed)
    squares = rng.integers(0, 2, (-(-height // 16), -(-width // 16)), dtype=np.uint8)
    labels = np.kron(squares, np.ones((16, 16), np.uint8))[:height, :width]
    image = 60 + 120 * labels + rng.normal(0, 15, (3, height, width))
    return image.clip(1, 255).astype(np.uint8), labels[None]


@pytest.fixture
def make_tile(make_raster: Callable[..., Path]) -> MakeTile:
    """A factory of labelled tiles: ``make_tile("a", height=64, width=80, image=..., labels=...)``."""

    def make(
        name: str = "a",
        *,
        height: int = 64,
        width: int = 80,
        seed: int = 0,
        image: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        nodata: float | None = None,
    ) -> Tile:
        made_image, made_labels = checkered(height, width, seed)
        image = made_image if image is None else image
        labels = made_labels if labels is None else labels
        return open_tile(
            make_raster(f"images/{name}.tif", data=image, nodata=nodata),
            make_raster(f"labels/{name}.tif", data=labels, crs=None),
        )

    return make
