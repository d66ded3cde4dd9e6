"""Scenes as files: an image, its labels in another folder, both georeferenced, with a ragged edge of nodata."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine, from_origin
from rasterio.windows import Window

from geoseg.classes import NODATA
from geoseg.errors import ConfigError, OutputError
from geoseg.scenes.chance import salt, smooth_noise
from geoseg.scenes.world import BANDS, CLASSES, GROUND_SAMPLING, render

CRS = "EPSG:32632"
SIDES = ("top", "left", "bottom", "right")
_STEP = 1024
"""Pixels painted at a time: the memory of any scene is that of one such window."""


class Scene(NamedTuple):
    """The files of one scene."""

    image: Path
    labels: Path | None


def write_scene(
    path: str | Path,
    size: int | tuple[int, int],
    seed: int,
    *,
    labels: str | Path | None = None,
    origin: tuple[int, int] = (0, 0),
    ground_sampling: float = GROUND_SAMPLING,
    nodata_edge: bool | Sequence[str] = True,
) -> Scene:
    """Write a scene of any size, window by window.

    Args:
        path: GeoTIFF with bands near-infrared, red, green, blue (uint8, nodata 0); its folder is made.
        size: height and width in pixels, or one number for both.
        seed: the world that it shows.
        labels: GeoTIFF with the ids of `CLASSES` (uint8, 255 where the image has nodata); not written if None.
        origin: row and column of the scene's first pixel in the world.
        ground_sampling: metres a pixel.
        nodata_edge: whether the survey ends in a ragged edge, or on which of `SIDES` it does.

    Raises:
        ConfigError: size, seed, side or ground sampling make no sense.
        OutputError: a file cannot be written.
    """
    height, width = (size, size) if isinstance(size, int) else size
    sides = (SIDES if nodata_edge else ()) if isinstance(nodata_edge, bool) else tuple(nodata_edge)
    for side in sides:
        if side not in SIDES:
            raise ConfigError(f"nodata_edge: {side!r} is no side of a scene; choose from {', '.join(SIDES)}")
    render(seed, *origin, min(height, 1), min(width, 1), ground_sampling=ground_sampling)  # refuses nonsense early
    scene = Scene(Path(path), None if labels is None else Path(labels))
    shared = {"transform": _placed(seed, origin, ground_sampling), "height": height, "width": width}
    with ExitStack() as stack:
        image_file = stack.enter_context(
            _new_raster(scene.image, count=4, nodata=0, photometric="MINISBLACK", **shared)
        )
        image_file.descriptions = BANDS
        label_file = None
        if scene.labels is not None:
            label_file = stack.enter_context(_new_raster(scene.labels, count=1, nodata=NODATA, **shared))
            label_file.descriptions = ("class",)
            label_file.write_colormap(1, {index: (*color, 255) for index, color in enumerate(CLASSES.colors)})
        edge = _Edge(seed, origin, (height, width), sides)
        for row in range(0, height, _STEP):
            for col in range(0, width, _STEP):
                rows, cols = min(_STEP, height - row), min(_STEP, width - col)
                image, ids = render(seed, origin[0] + row, origin[1] + col, rows, cols, ground_sampling=ground_sampling)
                outside = edge.outside(row, col, rows, cols)
                image[:, outside] = 0
                window = Window(col, row, cols, rows)
                image_file.write(image, window=window)
                if label_file is not None:
                    ids[outside] = NODATA
                    label_file.write(ids, 1, window=window)
    return scene


def write_folder(
    folder: str | Path,
    *,
    scenes: int = 2,
    size: int = 1536,
    seed: int = 0,
    ground_sampling: float = GROUND_SAMPLING,
    nodata_edge: bool = True,
) -> list[Scene]:
    """Write adjoining scenes of one world, west to east: ``images/scene_1.tif`` ..., ``labels/scene_1.tif`` ...

    Neighbours share a border without a gap; the ragged edge runs round all of them together.
    """
    if scenes < 1:
        raise ConfigError(f"scenes={scenes} makes an empty folder; give at least 1")
    folder, written = Path(folder), []
    for index in range(scenes):
        ends = [side for side, last in (("left", 0), ("right", scenes - 1)) if index == last]
        name = f"scene_{index + 1}.tif"
        written.append(
            write_scene(
                folder / "images" / name,
                size,
                seed,
                labels=folder / "labels" / name,
                origin=(0, index * size),
                ground_sampling=ground_sampling,
                nodata_edge=["top", "bottom", *ends] if nodata_edge else False,
            )
        )
    return written


class _Edge:
    """Where the survey ends: a frayed line along each ragged side, at a depth that follows the world."""

    def __init__(self, seed: int, origin: tuple[int, int], shape: tuple[int, int], sides: Sequence[str]) -> None:
        self._depths = {}
        deepest = max(4.0, min(90.0, 0.06 * min(shape)))
        for number, side in enumerate(SIDES):
            axis = 1 if side in ("top", "bottom") else 0
            along = np.arange(origin[axis], origin[axis] + shape[axis], dtype=np.float64)
            line = np.zeros(1)
            wander = [
                smooth_noise(salt(seed, 40 + number), line, np.floor(along / step) * step, wavelength)[0]
                for step, wavelength in ((1, 420.0), (16, 48.0), (2, 6.0))
            ]
            depth = deepest * (0.45 + 0.4 * wander[0] + 0.2 * wander[1] + 0.04 * wander[2])
            self._depths[side] = np.maximum(depth, 0.0) if side in sides else np.zeros(len(along))
        self._shape = shape

    def outside(self, row: int, col: int, height: int, width: int) -> NDArray[np.bool_]:
        """``(height, width)``: True where a window of the scene has no image."""
        rows, cols = np.arange(row, row + height)[:, None], np.arange(col, col + width)[None, :]
        across, down = slice(col, col + width), slice(row, row + height)
        return np.asarray(
            (rows < self._depths["top"][None, across])
            | (self._shape[0] - 1 - rows < self._depths["bottom"][None, across])
            | (cols < self._depths["left"][down, None])
            | (self._shape[1] - 1 - cols < self._depths["right"][down, None])
        )


def _placed(seed: int, origin: tuple[int, int], ground_sampling: float) -> Affine:
    """Pixel corner to EPSG:32632; each of the first 1600 seeds has a square of 10 km for itself."""
    west, north = 300_000.0 + seed % 40 * 10_000, 5_300_000.0 + seed // 40 % 40 * 10_000
    return from_origin(
        west + origin[1] * ground_sampling, north - origin[0] * ground_sampling, ground_sampling, ground_sampling
    )


@contextmanager
def _new_raster(path: Path, **profile: Any) -> Iterator[Any]:
    """A GeoTIFF open for writing under a temporary name, renamed when it is complete."""
    building = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(
            building,
            "w",
            driver="GTiff",
            dtype="uint8",
            crs=CRS,
            compress="deflate",
            zlevel=1,
            predictor=2,
            tiled=True,
            blockxsize=512,
            blockysize=512,
            BIGTIFF="IF_SAFER",
            **profile,
        ) as file:
            yield file
        building.replace(path)
    except (OSError, rasterio.errors.RasterioError) as error:
        raise OutputError(f"{path}: the scene cannot be written ({error}); choose another folder") from error
    finally:
        building.unlink(missing_ok=True)
