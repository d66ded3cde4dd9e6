"""Areas of interest: the polygons of a file, in whatever coordinate system, on any raster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from geoseg.errors import SourceError, VectorError
from geoseg.given import given_path
from geoseg.raster import Area, Source, describe_grid
from geoseg.vector.charts import Grid
from geoseg.vector.placement import place
from geoseg.vector.read import Features, read_features


@dataclass(frozen=True, slots=True, eq=False)
class AreaOfInterest:
    """The polygons of a vector file, which may lie on several rasters."""

    features: Features

    def on(self, source: Source, reach: int = 0, *, crop: bool = True) -> Area:
        """What of a raster they hold.

        Args:
            source: the raster.
            reach: pixels around them that are read too.
            crop: whether outputs end at their extent.

        Raises:
            OutsideError: they hold the centre of no pixel.
            SourceError: the raster has no place on the ground.
            VectorError: they have no coordinate system, or cannot be brought to the raster's.
        """
        path = self.features.path
        if not source.georeferenced or source.crs is None:
            raise SourceError(
                f"{source.path}: {describe_grid(source)} has no place for the area {path.name}; "
                "give it a place (a GeoTIFF with CRS, or --crs EPSG:N)"
            )
        grid = Grid.of(source.transform, source.crs, source.height, source.width)
        polygons = place(self.features, grid).polygons
        return Area(path, polygons, source.height, source.width, reach, crop)


def read_area(path: str | Path, layer: str | None = None) -> AreaOfInterest:
    """The area of interest that the polygons of a vector file draw.

    Args:
        path: GeoPackage, Shapefile, GeoJSON or FlatGeobuf.
        layer: which one; None: the only one that has geometries.

    Raises:
        VectorError: the file cannot be read, or holds no polygon.
    """
    features = read_features(Path(given_path("path", path)), layer)
    if not len(features.polygons):
        raise VectorError(f"{path}: holds no polygon; draw the area that is wanted")
    return AreaOfInterest(features)
