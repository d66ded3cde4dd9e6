"""Right angles of buildings against reference outlines: `banepa_buildings` below ``$GEOSEG_DATA``.

The class rasters are those of the environment's ``CLASSES_train`` and ``CLASSES_val``, if it names
any, else the reference as a network draws it: with corners rounded off and wavering borders.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
import shapely
from scipy import ndimage

import geoseg
from geoseg.raster import every_class

_WAYS: tuple[dict[str, Any], ...] = (
    {},
    {"simplify": "1px"},
    {"simplify": "1px", "regularize_tolerance": "4px"},
    {"simplify": "1px", "regularize_tolerance": "6px"},
    {"simplify": "1px", "regularize_tolerance": "8px"},
)


def right_angles(folder: Path) -> None:
    """IoU with OpenStreetMap's outlines, corners of buildings, and the share of right ones."""
    data = Path(os.environ["GEOSEG_DATA"], "banepa_buildings")
    for strip in ("train", "val"):
        with rasterio.open(data / strip / "banepa_label.tif") as file:
            frame, crs = shapely.box(*file.bounds), file.crs
        drawn = geopandas.read_file(data / strip / "banepa_buildings_osm_4326.geojson").to_crs(crs)
        truth = shapely.union_all(shapely.make_valid(drawn.geometry.array)).intersection(frame)
        given = os.environ.get(f"CLASSES_{strip}")
        classes = Path(given) if given else _drawn(data / strip, folder / f"{strip}.tif")
        name = every_class(classes).names[1]
        print(strip, "reference:", *_corners(shapely.get_parts(truth)), flush=True)
        for way in _WAYS:
            options = {**way, "regularize": name} if "regularize_tolerance" in way else way
            geoseg.vectorize(classes, folder / "polygons.gpkg", overwrite=True, **options)
            found = geopandas.read_file(folder / "polygons.gpkg", layer="polygons")
            houses = found.geometry.array[found.class_id == 1]
            whole = shapely.union_all(houses)
            iou = whole.intersection(truth).area / whole.union(truth).area
            print(strip, way, f"IoU {iou:.4f};", *_corners(houses), flush=True)


def _drawn(folder: Path, path: Path) -> Path:
    with rasterio.open(folder / "banepa_label.tif") as file:
        mask, profile = file.read(1) == 1, file.profile
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=mask.shape), 5)
    soft = ndimage.gaussian_filter(mask.astype(float), 4) + 0.12 * noise / noise.std()
    with rasterio.open(path, "w", **{**profile, "count": 1, "nodata": 255}) as file:
        file.write((soft > 0.5).astype(np.uint8), 1)
    return path


def _corners(houses: Any) -> tuple[str, str]:
    """Where rings turn by more than a degree, and how often by a right angle to 2 degrees."""
    count = right = 0
    for ring in shapely.get_rings(houses):
        sides = np.diff(shapely.get_coordinates(ring), axis=0)
        angle = np.degrees(np.arctan2(sides[:, 1], sides[:, 0]))
        turn = np.abs((np.roll(angle, -1) - angle + 180) % 360 - 180)
        count += int((turn > 1).sum())
        right += int((np.abs(turn - 90) <= 2).sum())
    return f"{count} corners,", f"{right / count:.3f} of them right"
