"""Finished rows of a block: what parts are written from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.tiling import Window


@dataclass(frozen=True, slots=True)
class Band:
    """Finished rows of a block."""

    area: Window
    """Where it lies in the raster."""
    labels: NDArray[np.uint8]
    """``(height, width)`` class ids; 255 invalid, 254 below the least confidence."""
    confidence: NDArray[np.uint8] | None
    """``(height, width)`` maximum probability as round(255 p), 0 invalid; None unless asked for."""
    probabilities: NDArray[np.uint8] | None
    """``(classes, height, width)`` as round(255 p), 0 invalid; None unless asked for."""
