from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from geoseg.classes import ClassScheme
from geoseg.datasets.tiles import Tile
from geoseg.models import Card, Model, create_model
from geoseg.tiling import Window
from geoseg.training.validation import validate


def brightness_model() -> Model:
    """A network of one pixel: bright where the mean of the bands is above 120."""
    net = create_model("pixel", classes=2)
    weight, bias = net.parameters()
    with torch.no_grad():
        weight[0], weight[1], bias[:] = -1.0, 1.0, 0.0
    card = Card(
        spec=net.spec,
        classes=ClassScheme.from_names(["dark", "bright"]),
        bands=("r", "g", "b"),
        value_range=(0.0, 255.0),
        mean=(120.0,) * 3,
        std=(60.0,) * 3,
        window=32,
        overlap=8,
    )
    return Model(net.eval(), card, digest="", path=None)


class Seen:
    """Collects what a panel is given."""

    def __init__(self) -> None:
        self.bands: list[tuple[Window, Any, Any, Any, Any]] = []

    def add(self, *band: Any) -> None:
        self.bands.append(band)  # type: ignore[arg-type]


def test_the_counts_of_all_tiles_are_those_of_comparing_pixel_by_pixel(
    make_tile: Callable[..., Tile],
) -> None:
    rng = np.random.default_rng(0)
    tiles, expected = [], np.zeros((2, 2), int)
    for name, height in (("a", 70), ("b", 40)):
        image = rng.integers(1, 255, (3, height, 50), dtype=np.uint8)
        labels = rng.integers(0, 2, (1, height, 50), dtype=np.uint8)
        labels[:, :, :5] = 255
        tiles.append(make_tile(name, image=image, labels=labels))
        predicted = (image.astype(int).sum(0) > 360).astype(int)
        for row, col in np.ndindex(height, 50):
            if labels[0, row, col] != 255:
                expected[labels[0, row, col], predicted[row, col]] += 1
    seen = Seen()
    confusion = validate(brightness_model(), tiles, panels=[seen])  # type: ignore[list-item]
    assert expected.sum() == 110 * 45
    # Sums of exactly 360 are neither; there are few.
    assert np.abs(confusion.matrix - expected).sum() <= 40
    assert confusion.matrix.sum() == expected.sum()
    rows = [(area.row, area.row_end) for area, *_ in seen.bands]
    assert rows[0][0] == 0
    assert rows[-1][1] == 70  # of the first tile, which has a panel
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(rows))
    area, pixels, valid, reference, labels_of_band = seen.bands[0]
    assert pixels.shape == (3, area.height, 50)
    assert valid.all()
    assert (reference[:, :5] == 255).all()
    assert labels_of_band.shape == reference.shape


def test_labels_without_pixels_count_as_missed(make_tile: Callable[..., Tile]) -> None:
    image = np.full((3, 16, 16), 200, np.uint8)
    image[:, :4] = 0
    tile = make_tile(image=image, labels=np.ones((1, 16, 16), np.uint8), nodata=0)
    confusion = validate(brightness_model(), [tile])
    assert confusion.matrix.tolist() == [[0, 0], [0, 192]]
    assert confusion.missed.tolist() == [0, 64]
