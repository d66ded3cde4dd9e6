"""Scenes as files: an image, its labels in another folder, both georeferenced, with a ragged edge of nodata."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import rasterio
from rasterio.transform import Affine, from_origin
from rasterio.windows import Window

from geoseg.classes import NODATA
from geoseg.errors import ConfigError, OutputError
from geoseg.scenes.edge import SIDES, Edge
from geoseg.scenes.world import BANDS, CLASSES, GROUND_SAMPLING, render

CRS = "EPSG:32632"
_TAG = "GEOSEG_SCENE"
"""What a scene file shows, so that it need not be made twice; the leading number is the version of the look."""
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
    """Write a scene of any size, window by window; files that hold this very scene already are left alone.

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
            raise ConfigError(
                f"nodata_edge: {side!r} is no side of a scene; choose from {', '.join(SIDES)}"
            )
    render(
        seed, *origin, min(height, 1), min(width, 1), ground_sampling=ground_sampling
    )  # refuses nonsense early
    scene = Scene(Path(path), None if labels is None else Path(labels))
    facts = f"1; seed {seed}; {height} x {width} from {tuple(origin)}; {ground_sampling} m; edge {', '.join(sides)}"
    if all(_stands(file, facts) for file in scene if file is not None):
        return scene
    shared = {
        "transform": _placed(seed, origin, ground_sampling),
        "height": height,
        "width": width,
        "facts": facts,
    }
    edge = Edge(seed, origin, (height, width), sides)
    with ExitStack() as stack:
        image_file = stack.enter_context(_new_raster(scene.image, BANDS, nodata=0, **shared))
        label_file = None
        if scene.labels is not None:
            label_file = stack.enter_context(
                _new_raster(scene.labels, ("class",), nodata=NODATA, **shared)
            )
            label_file.write_colormap(
                1, {index: (*color, 255) for index, color in enumerate(CLASSES.colors)}
            )
        for row, col, rows, cols in _pieces(height, width):
            image, ids = render(
                seed, origin[0] + row, origin[1] + col, rows, cols, ground_sampling=ground_sampling
            )
            outside = edge.outside(row, col, rows, cols)
            image[:, outside] = 0
            ids[outside] = NODATA
            window = Window(col, row, cols, rows)
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


def _pieces(height: int, width: int) -> Iterator[tuple[int, int, int, int]]:
    """Row, column, height and width of the windows that are painted one after the other."""
    for row in range(0, height, _STEP):
        for col in range(0, width, _STEP):
            yield row, col, min(_STEP, height - row), min(_STEP, width - col)


def _stands(path: Path, facts: str) -> bool:
    """Whether a complete file with these facts stands under a name (files get their names when they are complete)."""
    try:
        with rasterio.open(path) as file:
            return bool(file.tags().get(_TAG) == facts)
    except rasterio.errors.RasterioError:
        return False


def _placed(seed: int, origin: tuple[int, int], ground_sampling: float) -> Affine:
    """Pixel corner to EPSG:32632; each of the first 1600 seeds has a square of 10 km for itself."""
    west, north = 300_000.0 + seed % 40 * 10_000, 5_300_000.0 + seed // 40 % 40 * 10_000
    return from_origin(
        west + origin[1] * ground_sampling,
        north - origin[0] * ground_sampling,
        ground_sampling,
        ground_sampling,
    )


@contextmanager
def _new_raster(path: Path, bands: Sequence[str], facts: str, **profile: Any) -> Iterator[Any]:
    """A GeoTIFF open for writing under a temporary name, renamed when it is complete."""
    building = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(
            building,
            "w",
            driver="GTiff",
            count=len(bands),
            photometric="MINISBLACK",  # four 8-bit bands would be taken for RGB and alpha
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
            file.descriptions = tuple(bands)
            file.update_tags(**{_TAG: facts})
            yield file
        building.replace(path)
    except OutputError:
        raise  # the labels', written inside the image's context
    except (OSError, rasterio.errors.RasterioError) as error:
        raise OutputError(
            f"{path}: the scene cannot be written ({error}); choose another folder"
        ) from error
    finally:
        if building.exists():
            building.unlink()
