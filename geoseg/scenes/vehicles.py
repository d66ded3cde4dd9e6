"""Cars and vans: their sizes, and how they stand in a street or a parking bay."""

from __future__ import annotations

import math

import numpy as np

from geoseg.scenes.palette import car_colour, varied
from geoseg.scenes.things import Box, Car


def car_at(rng: np.random.Generator, frame: Box, u: float, v: float, heading: float) -> Car:
    """A car at coordinates (u, v) of a frame, its front turned by `heading` (radians) from the frame's axis."""
    angle = math.atan2(frame.sin, frame.cos) + heading + rng.normal(0.0, 0.02)
    glass = float(rng.uniform(24, 52) if rng.random() < 0.85 else rng.uniform(120, 190))
    centre = frame.point(u, v + rng.normal(0.0, 0.08))
    if rng.random() < 0.07:
        van = Box.at(centre, angle, rng.uniform(5.0, 5.9), rng.uniform(1.95, 2.1))
        return Car(van, varied(rng, (204, 206, 206, 204), 0.08), 2.3, glass)
    box = Box.at(centre, angle, rng.uniform(3.8, 4.9), rng.uniform(1.72, 1.95))
    return Car(box, car_colour(rng), 1.5, glass)
