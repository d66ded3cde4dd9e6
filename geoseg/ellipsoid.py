"""Areas and lengths on the ellipsoid of a coordinate system."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """The ellipsoid of a CRS, as seen in its cylindrical equal-area projection."""

    to_geographic: pyproj.Transformer
    """x and y to longitude and latitude."""
    degrees: float
    """Of the unit of longitude and latitude."""
    equal_area: pyproj.Proj
    """Longitude and latitude in degrees to a plane in which areas are those on the ellipsoid."""
    geod: pyproj.Geod
    """Its lengths."""

    def degrees_of(
        self, points: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitudes and latitudes in degrees of ``(points, 2)`` coordinates in the CRS."""
        longitude, latitude = self.to_geographic.transform(*points.T)
        return longitude * self.degrees, latitude * self.degrees

    def areas(self, polygons: NDArray[np.object_]) -> NDArray[np.float64]:
        """Square metres of polygons in CRS coordinates.

        Edges that are straight in longitude and latitude are taken as such, so areas of neighbours
        add up exactly, and pixels in degrees are measured without error. `pyproj.Geod` takes edges
        as geodesics instead; where they are shorter than a kilometre the two agree to 1e-6, and
        this is ten times faster.
        """

        def project(points: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.column_stack(self.equal_area(*self.degrees_of(points)))

        with np.errstate(invalid="ignore"):  # NaN beyond the poles
            areas: NDArray[np.float64] = shapely.area(shapely.transform(polygons, project))
        return areas

    def lengths(self, polygons: NDArray[np.object_]) -> NDArray[np.float64]:
        """Metres around polygons in CRS coordinates and around their holes, edges as geodesics."""
        rings, polygon = shapely.get_rings(polygons, return_index=True)
        points, ring = shapely.get_coordinates(rings, return_index=True)
        longitude, latitude = self.degrees_of(points)
        edge = ring[1:] == ring[:-1]
        starts, ends = (longitude[:-1], latitude[:-1]), (longitude[1:], latitude[1:])
        ends_of_edges = (values[edge] for values in (*starts, *ends))
        _, _, metres = self.geod.inv(*ends_of_edges)
        owners = polygon[ring[:-1][edge]]
        return np.bincount(owners, metres, len(polygons)).astype(np.float64)
