"""Parking lots."""

from __future__ import annotations

import math

import numpy as np

from geoseg.scenes import palette
from geoseg.scenes.plot import LINE, YARD, Frontage, Plot
from geoseg.scenes.vehicles import car_at


def lay_bays(plot: Plot, front: Frontage, depth: float, rows: int) -> None:
    """Parking bays side by side in one row or two facing ones, where nothing is built, with an aisle before them."""
    rng = plot.rng
    bay = 2.55
    busy = rng.uniform(0.2, 0.8) * plot.town.traffic
    lines = palette.marking(rng)
    tarmac = palette.asphalt(rng, plot.town, 0.12)
    for row in range(rows):
        middle = depth + 5.1 * row
        for along in np.arange(16.0, front.length - 16.0, bay):
            stall = front.box(float(along), middle, bay, 5.0)
            if not (plot.holds(stall, 0.2) and plot.clear(stall, 0.3)):
                continue
            aisle = front.box(
                float(along),
                middle + (8.0 if row == rows - 1 else 0.0) / 2,
                bay + 0.1,
                5.0 + 8.0 * (row == rows - 1),
            )
            plot.lay(YARD, aisle, tarmac)
            plot.lay(LINE, stall.part(-bay / 2, 0, 0.16, 4.8), lines)
            if rng.random() < busy:
                heading = math.pi / 2 if rng.random() < 0.7 else -math.pi / 2
                plot.content.cars.append(car_at(rng, stall, 0.0, rng.normal(0, 0.15), heading))
    plot.claim(
        front.box(front.length / 2, depth + 2.55 * (rows - 1), front.length - 34, 5.1 * rows)
    )
