"""Windows run one call at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.inference.predictor import Predictor


def probabilities_of(
    predictor: Predictor, pixels: NDArray[Any], valid: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """``(n, classes, height, width)`` of windows ``(n, bands, height, width)``."""
    x = predictor.normalize(torch.from_numpy(pixels.copy()), torch.from_numpy(valid))
    return predictor.scores(x).probabilities().numpy()
