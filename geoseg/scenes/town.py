"""What one seed decides for a whole town: its plan, its mix of quarters, the season, the sun and the camera."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from geoseg.scenes.chance import stream

KINDS = ("detached", "terraced", "perimeter", "slabs", "commerce", "park", "field")


@dataclass(frozen=True, slots=True)
class Town:
    """The facts that all cells of one world share."""

    seed: int
    angle: float
    """Direction of the street grid, radians."""
    cell: tuple[float, float]
    """Mean distance of streets along and across that direction, metres."""
    mix: tuple[float, ...]
    """Share of each of KINDS among the blocks; they add to 1."""
    sun: tuple[float, float]
    """Unit vector on the ground towards the sun, (x, y)."""
    elevation: float
    """Tangent of the sun's elevation."""
    dryness: float
    """0: lush grass; 1: a dry summer."""
    autumn: float
    """Share of trees that have turned yellow, red or brown."""
    warmth: float
    """Preference for red over grey roofs, 0..1."""
    asphalt: float
    """Mean brightness of the streets."""
    leafiness: float
    """How many trees there are, around 1."""
    traffic: float
    """How many cars there are, around 1."""
    gain: tuple[float, float, float, float]
    """The camera's exposure and white balance, a factor a band."""
    haze: tuple[float, float, float, float]
    """Light that the air adds, a grey value a band."""
    noise: float
    """Standard deviation of the sensor noise, in grey values."""


@lru_cache(maxsize=64)
def town_of(seed: int) -> Town:
    """The town that `seed` stands for."""
    rng = stream(seed, 0x70)
    density = rng.uniform(0.0, 1.0)
    shares = [
        1.5 * (1.0 - density) + 0.35,
        0.65,
        1.3 * density + 0.1,
        0.35 + 0.3 * density,
        0.4,
        0.4,
        0.3 * (1.0 - density),
    ]
    # The sun stands in the south, as in any survey flight over the northern hemisphere.
    azimuth = math.radians(rng.uniform(115, 245))
    exposure = rng.uniform(0.95, 1.2)
    return Town(
        seed=seed,
        angle=rng.uniform(-0.7, 0.7),
        cell=(rng.uniform(96, 128), rng.uniform(72, 90)),
        mix=tuple(share / sum(shares) for share in shares),
        sun=(math.sin(azimuth), -math.cos(azimuth)),
        elevation=math.tan(math.radians(rng.uniform(40, 58))),
        dryness=float(rng.beta(1.3, 2.2)),
        autumn=float(rng.beta(1.0, 6.0)) + 0.03,
        warmth=rng.uniform(0.2, 0.8),
        asphalt=rng.uniform(84, 122),
        leafiness=rng.uniform(0.8, 1.5),
        traffic=rng.uniform(0.7, 1.25),
        gain=tuple(exposure * rng.uniform(0.96, 1.04) for _ in range(4)),  # type: ignore[arg-type]
        haze=tuple(rng.uniform(2, 14) + extra for extra in (0.0, 2.0, 4.0, 8.0)),  # type: ignore[arg-type]
        noise=rng.uniform(2.6, 4.6),
    )
