"""In which coordinate system, and where in it, polygons are cut to the area of a raster.

In that of the polygons, where the raster's area is one piece there. Else in longitude and latitude:
the area of a raster across the 180th meridian or round a pole is torn in most projections, and in
longitude and latitude it is known how.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray

from geoseg.coordinate_systems import crs_name, horizontal_crs
from geoseg.errors import VectorError

Floats = NDArray[np.float64]
Area = tuple[float, float, float, float]
"""West, south, east, north."""

_SAMPLES = 65
"""Points along each side of a raster whose places are looked up."""
_SMOOTH = 0.5
"""Where steps between neighbouring points change by more of the longest step, the area is torn."""
_MARGIN = 0.01
"""Of the longest step between points, so that what lies beyond the raster's edge is seen there."""
_AT_SEAM = 1e-9
"""Share of a turn that is left away at a projection's own seam."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The pixels that polygons are placed on."""

    transform: Affine
    """Pixel corner to CRS."""
    crs: pyproj.CRS
    height: int
    width: int

    @classmethod
    def of(cls, transform: Affine, crs: object, height: int, width: int) -> Grid:
        """The grid of a raster whose CRS is rasterio's or pyproj's."""
        return cls(transform, horizontal_crs(crs), height, width)

    def to_pixels(self, points: Floats) -> Floats:
        """``(n, 2)`` columns and rows of coordinates in the grid's CRS."""
        return np.column_stack(~self.transform @ points.T)


@dataclass(frozen=True, slots=True)
class Chart:
    """A coordinate system with the area of a raster in it."""

    area: Area
    turn: float | None
    """Once round the earth in the chart's x; None where it has none."""
    is_geographic: bool
    _move: pyproj.Transformer
    _period: float | None
    """Once round the earth in the raster's x."""
    _anchor: tuple[float, float, float]
    """An x of the chart, the raster's x there, and the latter's change with the former."""

    def to_grid(self, points: Floats) -> Floats:
        """``(n, 2)`` coordinates in the raster's CRS, beside the raster rather than a turn away."""
        x, y = self._move.transform(*points.T)
        if self._period is not None:
            of_chart, of_raster, slope = self._anchor
            expected = of_raster + slope * (points[:, 0] - of_chart)
            x = x + self._period * np.round((expected - x) / self._period)
        return np.column_stack([x, y])


def choose_chart(own: pyproj.CRS, grid: Grid) -> Chart:
    """The chart in which polygons are cut.

    Args:
        own: the CRS of the polygons.
        grid: of the raster, in another CRS.

    Raises:
        VectorError: the raster lies where its own CRS has no coordinates.
    """
    base = own if own.is_geographic else geographic_of(own)
    globe = _Globe(base, grid)
    if not own.is_geographic and not globe.is_torn:
        places = _places(grid, own)
        if _is_smooth(places):
            anchor = (0.0, globe.centre[1], 0.0)
            move = transformer(own, grid.crs)
            return Chart(_bounds(places), None, False, move, globe.period, anchor)
    return Chart(
        globe.area(),
        globe.turn,
        True,
        transformer(base, grid.crs),
        globe.period,
        (*globe.centre, globe.slope),
    )


class _Globe:
    """A raster's area in longitude and latitude."""

    def __init__(self, base: pyproj.CRS, grid: Grid) -> None:
        turn = self.turn = turn_of(base)
        self._grid = grid
        self._to_grid = transformer(base, grid.crs)
        self.places = _unwrapped(_places(grid, base), turn)
        if not np.isfinite(self.places).any():
            raise VectorError(
                f"a raster of {grid.height} x {grid.width} pixels lies where its coordinate "
                f"system, {crs_name(grid.crs)}, has no longitudes; check its transform and CRS"
            )
        self.slope = _slope(self._to_grid, turn) or 0.0
        self.period = period_of(grid.crs)
        middle = grid.transform @ (grid.width / 2, grid.height / 2)
        longitude = self.places[_SAMPLES // 2, _SAMPLES // 2].real
        self.centre = (float(longitude), float(middle[0]))
        self.meridian = _central_meridian(grid.crs, base)

    @property
    def is_torn(self) -> bool:
        """Whether the raster's own projection is torn near it, or it goes round the earth."""
        if self.period is not None:
            west, east = np.nanmin(self.places.real), np.nanmax(self.places.real)
            return bool(east - west > self.turn / 4)
        return self._reaches_seam()

    def area(self) -> Area:
        """West, south, east and north; a whole turn where the raster has a pole in it."""
        quarter = self.turn / 4
        if _is_smooth(self.places):
            west, south, east, north = _bounds(self.places)
        else:
            finite = np.isfinite(self.places)
            latitudes = self.places.imag
            steps = [np.abs(np.diff(latitudes, axis=axis)) for axis in (0, 1)]
            margin = max(np.nanmax(part, initial=0.0) for part in steps)
            south = float(latitudes[finite].min() - margin)
            north = float(latitudes[finite].max() + margin)
            south = -quarter if self._shows_pole(-quarter) else south
            north = quarter if self._shows_pole(quarter) else north
            west, east = self.meridian - self.turn / 2, self.meridian + self.turn / 2
        if self.period is None and self._reaches_seam():
            west, east = self._between_seams(west, east)
        return west, max(south, -quarter), east, min(north, quarter)

    def _shows_pole(self, latitude: float) -> bool:
        """Whether a pole lies on the raster, or so close that longitudes turn fast there."""
        x, y = self._to_grid.transform(self.meridian, latitude)
        if not (np.isfinite(x) and np.isfinite(y)):
            return False
        column, row = ~self._grid.transform @ (x, y)
        beside = np.array([self._grid.width, self._grid.height]) / (_SAMPLES - 1)
        width, height = self._grid.width + beside[0], self._grid.height + beside[1]
        return bool(-beside[0] <= column <= width and -beside[1] <= row <= height)

    def _reaches_seam(self) -> bool:
        """Whether the raster lies near the meridian where its projection is torn, if it is."""
        away = np.abs(
            (self.places.real - self.meridian + self.turn / 2) % self.turn - self.turn / 2
        )
        if not np.nanmax(away) > self.turn / 4:
            return False
        latitude = float(np.nanmedian(self.places.imag))
        sides = [self.meridian + side * self.turn * (0.5 - 1e-7) for side in (-1, 1)]
        x, y = self._to_grid.transform(sides, [latitude] * 2)
        jump, size = np.hypot(*np.diff([x, y])[:, 0]), np.abs([x, y]).max()
        return bool(np.isfinite(jump) and jump > 1e-3 * size)

    def _between_seams(self, west: float, east: float) -> tuple[float, float]:
        turns = round(((west + east) / 2 - self.meridian) / self.turn) * self.turn
        edge = self.turn / 2 - _AT_SEAM * self.turn
        meridian = self.meridian + turns
        return max(west, meridian - edge), min(east, meridian + edge)


@lru_cache(maxsize=64)
def transformer(source: pyproj.CRS, target: pyproj.CRS) -> pyproj.Transformer:
    """From one CRS to another, x (east) before y (north) in both."""
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def geographic_of(crs: pyproj.CRS) -> pyproj.CRS:
    """The longitude and latitude that a projection is of, with its datum shift where it has one."""
    if crs.is_bound and crs.source_crs is not None:
        return pyproj.crs.BoundCRS(
            geographic_of(crs.source_crs), crs.target_crs, crs.coordinate_operation
        )
    return (crs.geodetic_crs or crs).to_2d()


def turn_of(crs: pyproj.CRS) -> float:
    """A whole turn in the unit of a geographic CRS: 360 degrees, 400 grads."""
    return float(2 * np.pi / crs.axis_info[0].unit_conversion_factor)


def period_of(crs: pyproj.CRS) -> float | None:
    """Once round the earth in x; None where no such shift leads to the same place."""
    if crs.is_geographic:
        return turn_of(crs)
    if not crs.is_projected:
        return None
    base = geographic_of(crs)
    turn = turn_of(base)
    slope = _slope(transformer(base, crs), turn)
    return None if slope is None else abs(slope) * turn


def _slope(move: pyproj.Transformer, turn: float) -> float | None:
    """The change of x with the longitude, where it is the same everywhere; else None."""
    longitude = np.array([0.0, 1.0, 0.0, 80.0]) * turn / 360
    latitude = np.array([0.0, 0.0, 60.0, 60.0]) * turn / 360
    x, y = move.transform(longitude, latitude)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    near, far = (x[1] - x[0]) / longitude[1], (x[3] - x[2]) / longitude[3]
    level = np.abs(np.diff(y)[[0, 2]]).max() < 1e-4 * np.abs(x).max()
    return float(far) if level and abs(near - far) < 1e-4 * abs(far) else None


def _central_meridian(crs: pyproj.CRS, base: pyproj.CRS) -> float:
    """The longitude in the middle of a projection, in the unit and from the meridian of `base`."""
    inner: Any = crs.source_crs if crs.is_bound else crs
    if inner.coordinate_operation is None or inner.is_geographic:
        return 0.0
    for parameter in inner.coordinate_operation.params:
        if parameter.name.startswith("Longitude of"):
            own = inner.geodetic_crs.to_2d()
            angle = parameter.value * parameter.unit_conversion_factor
            longitude = angle / own.axis_info[0].unit_conversion_factor
            return float(transformer(own, base).transform(longitude, 0.0)[0])
    return 0.0


def _places(grid: Grid, crs: pyproj.CRS) -> NDArray[np.complex128]:
    """Places all over a raster in another CRS, x + iy."""
    columns, rows = np.meshgrid(
        np.linspace(0, grid.width, _SAMPLES), np.linspace(0, grid.height, _SAMPLES)
    )
    x, y = grid.transform @ (columns, rows)
    u, v = transformer(grid.crs, crs).transform(x, y)
    sound = np.isfinite(u) & np.isfinite(v)
    places = np.full(u.shape, complex(np.nan, np.nan))
    places[sound] = u[sound] + 1j * v[sound]
    return places


def _unwrapped(places: NDArray[np.complex128], turn: float) -> NDArray[np.complex128]:
    """Longitudes without the jump at the 180th meridian."""
    if not np.isfinite(places).all():
        return places
    longitudes = np.unwrap(places.real, axis=1, period=turn)
    first = longitudes[:, 0]
    longitudes = longitudes + (np.unwrap(first, period=turn) - first)[:, None]
    return longitudes + 1j * places.imag


def _is_smooth(places: NDArray[np.complex128]) -> bool:
    """Whether the places of a raster are one piece."""
    longest, change = _steps(places)
    return bool(np.isfinite(places).all() and change <= _SMOOTH * longest)


def _steps(places: NDArray[np.complex128]) -> tuple[float, float]:
    """The longest step between neighbours, and the largest change from one step to the next."""
    longest, change = (
        max(float(np.abs(np.diff(places, order, axis=axis)).max()) for axis in (0, 1))
        for order in (1, 2)
    )
    return longest, change


def _bounds(places: NDArray[np.complex128]) -> Area:
    longest, change = _steps(places)
    margin = change + _MARGIN * longest
    x, y = places.real, places.imag
    return (
        float(x.min() - margin),
        float(y.min() - margin),
        float(x.max() + margin),
        float(y.max() + margin),
    )
