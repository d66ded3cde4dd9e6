"""Shadows against a ray that is walked step by step."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from geoseg.scenes.rendering import cast_shadows, shadow_steps
from geoseg.scenes.town import Town


def walked(
    level: np.ndarray, sun: tuple[float, float], elevation: float, sampling: float
) -> np.ndarray:
    """True where something on the straight way to the sun is at least half a metre over the ray."""
    shadow = np.zeros(level.shape, bool)
    for row, col in np.ndindex(level.shape):
        for step in range(1, 200):
            down, across = round(row + sun[1] * step), round(col + sun[0] * step)
            if not (0 <= down < level.shape[0] and 0 <= across < level.shape[1]):
                break
            rise = step * sampling * elevation
            shadow[row, col] |= level[down, across] > level[row, col] + rise + 0.5
    return shadow


@pytest.mark.parametrize("azimuth", [118, 160, 180, 215, 242])
def test_shadows_are_those_of_a_walked_ray(azimuth: float) -> None:
    sun = (math.sin(math.radians(azimuth)), -math.cos(math.radians(azimuth)))
    town = replace(Town.from_seed(1), sun=sun, elevation=1.0)
    level = np.zeros((70, 70), np.float32)
    level[40:50, 30:42] = 6.0
    level[20:24, 10:14] = 3.0
    found = cast_shadows(level, shadow_steps(town, 0.3)) > 0.5
    expected = walked(level, sun, 1.0, 0.3)
    # A ray of doubled steps may pass a pixel beside the walked one, so outlines may differ by a pixel.
    assert (found != expected).mean() < 0.02
    assert found.sum() == pytest.approx(expected.sum(), rel=0.15)
