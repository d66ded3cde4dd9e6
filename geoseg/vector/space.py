"""Where the stations of stretches lie, and in which directions the walls there run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.vector.arcs import UNIT
from geoseg.vector.directions import main_directions
from geoseg.vector.simplify import Metric
from geoseg.vector.stretches import Stretches
from geoseg.vector.walls import BAND, TYPES

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Space:
    """The plane in which angles are right, in bands (see `walls`)."""

    x: Floats
    """Of each station, from the first one of its stretch on."""
    y: Floats
    angle: Floats
    """``(stretches, MOST)`` main directions of the region of each."""
    unit: tuple[float, float]
    """Bands of a unit of the arcs along a row, and along a column."""
    shape: tuple[int, int]
    """Height and width of the cell in these units."""

    @classmethod
    def of(cls, stretches: Stretches, metric: Metric, shape: tuple[int, int]) -> Space:
        """The space of the stretches of a cell, in which `metric` says what the tolerance is."""
        number, first = stretches.number, stretches.first[:-1]
        unit = metric.across / UNIT / BAND, metric.down / UNIT / BAND
        x = (stretches.col - stretches.col[first][number]) * unit[0]
        y = (stretches.row - stretches.row[first][number]) * unit[1]
        regions, region = np.unique(stretches.region, return_inverse=True)
        lines = np.flatnonzero(number[1:] == number[:-1])
        right, down = (each[lines + 1] - each[lines] for each in (x, y))
        directions = main_directions(region[number[lines]], right, down, regions.size)
        return cls(x, y, directions[region], unit, shape)

    def turned(self, stretch: Ints, station: Ints) -> tuple[Floats, Floats]:
        """``(TYPES, stations)`` along and across walls of each type; see `walls.Stations`."""
        angle = self.angle[stretch].T
        x, y = self.x[station], self.y[station]
        along, off = np.empty((TYPES, x.size)), np.empty((TYPES, x.size))
        along[0::2] = off[1::2] = x * np.cos(angle) + y * np.sin(angle)
        off[0::2] = along[1::2] = y * np.cos(angle) - x * np.sin(angle)
        return along, off
