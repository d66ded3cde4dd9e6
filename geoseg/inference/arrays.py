"""Arrays in, arrays out: labels of an image that is in memory."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from rasterio.crs import CRS

from geoseg.inference.decision import Asked
from geoseg.inference.external_options import bound_options
from geoseg.inference.fitting import fit
from geoseg.inference.options import PredictOptions
from geoseg.inference.run import PredictRun
from geoseg.inference.stream import stream_block
from geoseg.models import Model, load_model
from geoseg.models.cardfile import card_of
from geoseg.raster import Source
from geoseg.raster.array_source import array_source, data_array_source
from geoseg.tiling import Block, Window


def predict_array(
    array: ArrayLike,
    model: str | os.PathLike[str] | Model,
    transform: Affine | None = None,
    crs: str | CRS | None = None,
    *,
    bands: Sequence[int] | None = None,
    nodata: Sequence[float] = (),
    **options: Any,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The labels of an image in memory: those that `geoseg.predict` gives of the file.

    Args:
        array: ``(bands, height, width)`` or ``(height, width)``, or an ``xarray.DataArray`` with
            what rioxarray knows of it. Values that are not finite are invalid.
        model: a model file, or a loaded model.
        transform: pixel corner to CRS; where it and `crs` are given, the ground sampling is
            compared with the model's.
        crs: the coordinate system.
        bands: 1-based bands in the model's order; None: all.
        nodata: values that mean "no data" where all bands have the same one.
        options: as of `geoseg.predict`, what concerns files and workers apart: ``window``,
            ``overlap``, ``device``, ``scales``, ``value_range``, ``min_confidence`` ...

    Returns:
        Class ids ``(height, width)``, 255 invalid; and the confidence, round(255 p), 0 invalid.

    Raises:
        SourceError: the array does not fit the model.
        ConfigError: an option is unknown or has no sense.
        ModelError: the model file is wrong.
    """
    chosen = PredictOptions.from_keywords(**options)
    source: Source
    if hasattr(array, "dims"):
        source = data_array_source(array, bands=bands, nodata=nodata, crs=crs)
    else:
        source = array_source(array, bands=bands, nodata=nodata, transform=transform, crs=crs)
    card = card_of(model, chosen.card)
    chosen = bound_options(chosen, card)
    source, grid, lines = fit(source, card, chosen)
    loaded = load_model(model, chosen.card) if isinstance(model, str | os.PathLike) else model
    for line in lines:
        warnings.warn(line, stacklevel=2)
    run = PredictRun.from_options(loaded, chosen, Path())
    labels = np.empty((source.height, source.width), np.uint8)
    confidence = np.empty_like(labels)
    whole = Block(grid, Window(0, 0, source.height, source.width))
    finished = stream_block(
        whole, source, run.predictor, asked=Asked(min_confidence=chosen.min_confidence)
    )
    for _, band in finished:
        labels[band.area.slices()] = band.labels
        confidence[band.area.slices()] = cast("NDArray[np.uint8]", band.confidence)  # asked for
    return labels, confidence
