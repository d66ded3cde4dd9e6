"""Scenes: any window of a town as a camera sees it, and whole scenes as georeferenced files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window

from geoseg.classes import ISPRS, NODATA, ClassScheme
from geoseg.errors import ConfigError, OutputError
from geoseg.raster.gdal import replace_raster
from geoseg.scenes.grounds import Site, lawn
from geoseg.scenes.quarters import sites_within
from geoseg.scenes.rendering import (
    LEAF_CLUMP,
    Canvas,
    cast_shadows,
    develop,
    draw_ground,
    draw_thing,
    expose,
    shadow_steps,
)
from geoseg.scenes.town import Array, Town, random_stream, smooth_noise

Pair = tuple[int, int]
CLASSES = ClassScheme(ISPRS.names[:5], ISPRS.colors[:5], ISPRS.values[:5])
"""Impervious surfaces, building, low vegetation, tree, car: the ISPRS classes without clutter."""
BANDS = ("near-infrared", "red", "green", "blue")
GROUND_SAMPLING = 0.15
"""Metres per pixel by default: a car is 30 x 12 pixels, so stride 8 still resolves its width."""
SIDES = ("top", "left", "bottom", "right")
CRS = "EPSG:32632"
_TAG = "GEOSEG_SCENE"
"""What a file shows, so that it need not be made twice; it begins with the version of the look."""
_STEP = 1024
"""Pixels rendered at a time: the memory of any scene is that of one such window."""


class Scene(NamedTuple):
    """The files of one scene."""

    image: Path
    labels: Path | None


def render(
    seed: int,
    row: int,
    col: int,
    height: int,
    width: int,
    *,
    ground_sampling: float = GROUND_SAMPLING,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A window of the world `seed`: the same pixels in whatever windows it is asked for.

    Args:
        seed: the world; towns differ in plan, density, materials, season, light and camera.
        row: first row of the window in the world, may be negative.
        col: first column.
        height: rows.
        width: columns.
        ground_sampling: metres per pixel, 0.05 to 0.5.

    Returns:
        ``(image, labels)``: ``(4, height, width)`` uint8 near-infrared, red, green, blue, each
        1..255, and ``(height, width)`` uint8 ids of `CLASSES`.

    Raises:
        ConfigError: the seed is negative, the window empty, or the ground sampling out of range.
    """
    _check(seed, height, width, ground_sampling)
    town = Town.from_seed(seed)
    # Beyond the window lies what casts shadows into it, and what leaf clumps and blur look at.
    steps = shadow_steps(town, ground_sampling)
    down, across = sum(step[0] for step in steps), sum(step[1] for step in steps)
    ring = 2 + math.ceil(LEAF_CLUMP / ground_sampling)
    top, left = ring + max(0, -down), ring + max(0, -across)
    bottom, right = ring + max(0, down), ring + max(0, across)
    canvas = Canvas(
        town, row - top, col - left, top + height + bottom, left + width + right, ground_sampling
    )
    bounds = canvas.x[0], canvas.y[0], canvas.x[-1], canvas.y[-1]
    sites = list(sites_within(town, bounds))
    patches = [patch for site in sites for patch in site.patches]
    draw_ground(canvas, patches, lawn(Site(town, random_stream(seed, 8))))
    for site in sites:
        for thing in site.things:
            draw_thing(canvas, thing)
    grey = expose(canvas, cast_shadows(canvas.level, steps))
    ringed = grey[:, top - 1 : top + height + 1, left - 1 : left + width + 1]
    rows, cols = slice(top, top + height), slice(left, left + width)
    image = develop(ringed, canvas.rows[rows], canvas.cols[cols], town)
    return image, canvas.labels[rows, cols].copy()


def _check(seed: int, height: int, width: int, ground_sampling: float) -> None:
    if seed < 0:
        raise ConfigError(f"seed={seed} is negative; give a whole number from 0 on")
    if height < 1 or width < 1:
        raise ConfigError(
            f"a window of {height} x {width} pixels holds nothing; give at least 1 x 1"
        )
    if not 0.05 <= ground_sampling <= 0.5:
        raise ConfigError(
            f"ground_sampling={ground_sampling} m is out of range; "
            "scenes are made for 0.05 to 0.5 m"
        )


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
    """Write a scene of any size; files that hold this very scene already are left alone.

    Args:
        path: GeoTIFF with the bands of `BANDS` (uint8, nodata 0); its folder is made.
        size: height and width in pixels, or one number for both.
        seed: the world that it shows.
        labels: GeoTIFF with ids of `CLASSES` (uint8, 255 where the image has nodata), if any.
        origin: row and column of the scene's first pixel in the world.
        ground_sampling: metres per pixel.
        nodata_edge: whether the survey ends in a ragged edge, or on which of `SIDES` it does.

    Raises:
        ConfigError: size, seed, side or ground sampling are out of range.
        OutputError: a file cannot be written, or another one is in its place.
    """
    shape = (size, size) if isinstance(size, int) else size
    sides = (SIDES if nodata_edge else ()) if isinstance(nodata_edge, bool) else tuple(nodata_edge)
    for side in sides:
        if side not in SIDES:
            raise ConfigError(
                f"nodata_edge: {side!r} is not a side of a scene; choose from {', '.join(SIDES)}"
            )
    _check(seed, *shape, ground_sampling)
    scene = Scene(Path(path), None if labels is None else Path(labels))
    facts = (
        f"1; seed {seed}; {shape[0]} x {shape[1]} from {tuple(origin)}; {ground_sampling} m; "
        f"edge {', '.join(sides)}"
    )
    if {_facts_in(file) for file in scene if file is not None} == {facts}:
        return scene
    # Each of the first 1600 seeds has its own square of 10 km.
    west, north = 300_000.0 + seed % 40 * 10_000, 5_300_000.0 + seed // 40 % 40 * 10_000
    west, north = west + origin[1] * ground_sampling, north - origin[0] * ground_sampling
    shared = {
        "facts": facts,
        "transform": Affine(ground_sampling, 0, west, 0, -ground_sampling, north),
        "height": shape[0],
        "width": shape[1],
    }
    with ExitStack() as stack:
        image_file = stack.enter_context(_new_raster(scene.image, BANDS, nodata=0, **shared))
        label_file = None
        if scene.labels is not None:
            label_raster = _new_raster(scene.labels, ("class",), nodata=NODATA, **shared)
            label_file = stack.enter_context(label_raster)
            colours = {index: (*color, 255) for index, color in enumerate(CLASSES.colors)}
            label_file.write_colormap(1, colours)
        for window, image, ids in _pieces(seed, origin, shape, sides, ground_sampling):
            image_file.write(image, window=window)
            if label_file is not None:
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
    """Write adjoining scenes, west to east: ``images/scene_1.tif``, ``labels/scene_1.tif`` ...

    Neighbours share a border without a gap; the ragged edge runs round all of them together.

    Raises:
        ConfigError: as from `write_scene`, or there are no scenes to write.
        OutputError: a file cannot be written.
    """
    if scenes < 1:
        raise ConfigError(f"scenes={scenes} makes an empty folder; give at least 1")
    written = []
    for index in range(scenes):
        ends = [side for side, last in (("left", 0), ("right", scenes - 1)) if index == last]
        image, labels = (
            Path(folder) / kind / f"scene_{index + 1}.tif" for kind in ("images", "labels")
        )
        scene = write_scene(
            image,
            size,
            seed,
            labels=labels,
            origin=(0, index * size),
            ground_sampling=ground_sampling,
            nodata_edge=["top", "bottom", *ends] if nodata_edge else False,
        )
        written.append(scene)
    return written


def _pieces(
    seed: int, origin: Pair, shape: Pair, sides: Sequence[str], ground_sampling: float
) -> Iterator[tuple[Window, Array, Array]]:
    """Windows of a scene with their image and labels, which are nodata beyond the ragged edge."""
    depths = _edge_depths(seed, origin, shape, sides)
    for row in range(0, shape[0], _STEP):
        for col in range(0, shape[1], _STEP):
            height, width = min(_STEP, shape[0] - row), min(_STEP, shape[1] - col)
            place = origin[0] + row, origin[1] + col
            image, ids = render(seed, *place, height, width, ground_sampling=ground_sampling)
            window = Window(col, row, width, height)
            outside = _outside(depths, shape, window)
            image[:, outside] = 0
            ids[outside] = NODATA
            yield window, image, ids


def _facts_in(path: Path) -> str | None:
    """The facts of a scene that exists; files get their names when they are complete."""
    facts = None
    with suppress(rasterio.errors.RasterioError), rasterio.open(path) as file:
        facts = file.tags().get(_TAG)
    if facts is None and path.exists():
        raise OutputError(f"{path} exists and is no scene of geoseg; move it away")
    return facts


@contextmanager
def _new_raster(path: Path, bands: Sequence[str], facts: str, **profile: Any) -> Iterator[Any]:
    """A GeoTIFF open for writing, which gets its name when it is complete."""
    options = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": len(bands),
        "photometric": "MINISBLACK",  # four 8-bit bands would be taken for RGB and alpha
        "crs": CRS,
        "compress": "deflate",
        "zlevel": 1,
        "predictor": 2,
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "BIGTIFF": "IF_SAFER",
    }
    with replace_raster(path) as built, rasterio.open(built, "w", **options, **profile) as file:
        file.descriptions = tuple(bands)
        file.update_tags(**{_TAG: facts})
        yield file


def _edge_depths(seed: int, origin: Pair, shape: Pair, sides: Sequence[str]) -> list[Array]:
    """How many pixels are nodata along each of `SIDES`, pixel by pixel.

    The depth follows the world, so the edge continues in the adjoining scene.
    """
    deepest = max(4.0, min(90.0, 0.06 * min(shape)))
    depths = []
    for number, side in enumerate(SIDES):
        axis = 1 - number % 2
        along = np.arange(origin[axis], origin[axis] + shape[axis], dtype=np.float64)
        coarse, middle, fine = (
            smooth_noise(seed, 40 + number, np.zeros(1), along // step * step, wavelength)[0]
            for step, wavelength in ((1, 420.0), (16, 48.0), (2, 6.0))
        )
        depth = deepest * (0.45 + 0.4 * coarse + 0.2 * middle + 0.04 * fine)
        depths.append(np.maximum(depth, 0.0) * (side in sides))
    return depths


def _outside(depths: Sequence[Array], shape: Pair, window: Window) -> Array:
    """``(height, width)``: True where a window of the scene has no image."""
    row, col = window.row_off, window.col_off
    rows, cols = np.arange(row, row + window.height), np.arange(col, col + window.width)
    top, left, bottom, right = depths
    lines = (rows[:, None] < top[cols]) | (shape[0] - 1 - rows[:, None] < bottom[cols])
    return lines | (cols < left[rows, None]) | (shape[1] - 1 - cols < right[rows, None])
