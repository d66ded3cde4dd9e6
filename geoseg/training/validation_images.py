"""Pictures of a validation: image, reference and prediction of a few tiles on one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch as Swatch
from numpy.typing import NDArray

from geoseg.classes import ClassScheme
from geoseg.datasets.tiles import Tile
from geoseg.files import replace_file
from geoseg.tiling import Window

_MAX_SIDE = 480
"""Pixels of a picture's longer side at most; of larger tiles every n-th row and column is shown."""
_GREY = 217
"""Of pixels without data or label: white is a class in the ISPRS colours."""


class Panel:
    """One tile, subsampled while its bands are predicted from top to bottom."""

    def __init__(self, name: str, height: int, width: int) -> None:
        self.name = name
        self._every = max(1, -(-max(height, width) // _MAX_SIDE))
        self._rows: list[tuple[NDArray[Any], ...]] = []

    def add(
        self,
        area: Window,
        pixels: NDArray[Any],
        valid: NDArray[np.bool_],
        reference: NDArray[np.uint8],
        predicted: NDArray[np.uint8],
    ) -> None:
        """Take every n-th row and column of a band of whole rows; bands come from top to bottom."""
        rows = slice(-area.row % self._every, None, self._every)
        cols = slice(None, None, self._every)
        # Copies: a view would keep the whole band in memory.
        self._rows.append(
            tuple(array[..., rows, cols].copy() for array in (pixels, valid, reference, predicted))
        )

    def images(self, colors: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
        """RGB pictures of image, reference and prediction; `colors` ``(256, 3)`` by class id."""
        pixels, valid, reference, predicted = (
            np.concatenate(pieces, axis=-2) for pieces in zip(*self._rows, strict=True)
        )
        return imagery(pixels, valid), colors[reference], colors[predicted]


def panels_of(tiles: Sequence[Tile], count: int) -> list[Panel]:
    """Empty panels of the first tiles, at most `count`."""
    images = [tile.image for tile in tiles[:count]]
    return [Panel(image.path.name, image.height, image.width) for image in images]


def imagery(pixels: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The first three bands (or the first as grey), stretched between 2nd and 98th percentile."""
    bands = pixels[:3] if len(pixels) >= 3 else pixels[:1].repeat(3, axis=0)
    shown = np.full((*valid.shape, 3), _GREY, np.uint8)
    if valid.any():
        values = bands[:, valid].astype(np.float64)
        low, high = np.percentile(values, (2, 98), axis=1)
        scaled = (values - low[:, None]) / np.maximum(high - low, 1e-9)[:, None]
        shown[valid] = (255 * scaled.clip(0, 1)).T
    return shown


def draw_page(panels: Sequence[Panel], scheme: ClassScheme, path: Path) -> None:
    """Write a PNG with a row for each panel and the legend below; nothing without panels.

    Raises:
        OutputError: it cannot be written.
    """
    if not panels:
        return
    colors = np.full((256, 3), _GREY, np.uint8)
    colors[: len(scheme)] = scheme.colors
    figure = Figure(figsize=(12, 4 * len(panels) + 0.5), layout="constrained")
    for row, panel in zip(figure.subplots(len(panels), 3, squeeze=False), panels, strict=True):
        titles = (panel.name, "reference", "prediction")
        for axes, title, image in zip(row, titles, panel.images(colors), strict=True):
            axes.imshow(image, interpolation="nearest")
            axes.set_title(title, fontsize=9)
            axes.set_axis_off()
    swatches = [
        Swatch(facecolor=np.divide(color, 255), edgecolor="0.5", label=name)
        for name, color in zip(scheme.names, scheme.colors, strict=True)
    ]
    figure.legend(
        handles=swatches, loc="outside lower center", ncols=min(len(swatches), 8), fontsize=9
    )
    with replace_file(path) as made:
        figure.savefig(made, format="png", dpi=110)
