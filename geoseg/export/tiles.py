"""Tiles of rasters as a network takes them, to compare an exported model on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.errors import SourceError
from geoseg.inference.fitting import open_fitting
from geoseg.inference.normalize import Normalization
from geoseg.inference.options import PredictOptions
from geoseg.models import Card
from geoseg.raster import Source

_A_RASTER = 2
"""Tiles along each axis of a raster."""


def read_tiles(paths: Iterable[Path], card: Card) -> Iterator[NDArray[np.float32]]:
    """Four windows of each raster, standardised; those without a valid pixel are left out.

    Args:
        paths: of rasters that fit the model.
        card: of the model.

    Yields:
        ``(1, bands, H, W)`` float32 images of the card's window, or of a smaller raster's size.

    Raises:
        SourceError: a raster cannot be read, does not fit the model, or has no valid pixel there.
    """
    normalize = Normalization.from_card(card)
    for path in paths:
        if path.is_dir():
            raise SourceError(f"{path}: is a folder; name rasters in it, each with --tiles")
        source, _, _ = open_fitting(path, card, PredictOptions())
        found = False
        with source.open() as reader:
            for row, col, height, width in _windows(source, card.window):
                pixels, valid = reader.read(row, col, height, width)
                if valid.any():
                    found = True
                    x = normalize(torch.from_numpy(pixels)[None], torch.from_numpy(valid)[None])
                    yield x.numpy()
        if not found:
            raise SourceError(f"{path}: has no valid pixel where tiles are taken; give another")


def _windows(source: Source, side: int) -> list[tuple[int, int, int, int]]:
    """Row, column, height and width of windows at the corners of a raster."""
    height, width = min(side, source.height), min(side, source.width)
    rows = {round(i * (source.height - height) / (_A_RASTER - 1)) for i in range(_A_RASTER)}
    cols = {round(i * (source.width - width) / (_A_RASTER - 1)) for i in range(_A_RASTER)}
    return [(row, col, height, width) for row in sorted(rows) for col in sorted(cols)]
