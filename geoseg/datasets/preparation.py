"""Each image with its labels: planned, checked, cut, written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

import rasterio

from geoseg.classes import ClassScheme
from geoseg.datasets.crops import Crop, PatchOptions, SpatialSplit, cut_patches, whole_raster
from geoseg.datasets.drawn_features import DrawnFeatures
from geoseg.datasets.file_keys import is_vector
from geoseg.datasets.layouts import Layout
from geoseg.datasets.manifest import KINDS, PreparedPair, PreparedTile, sha256_of
from geoseg.datasets.pairing import Pair
from geoseg.datasets.polygon_labels import PolygonLabels
from geoseg.datasets.raster_labels import RasterLabels
from geoseg.datasets.statistics import Statistics
from geoseg.datasets.tiles import (
    Labels,
    LabelSource,
    Seen,
    find_labels,
    open_labels,
    see_labels,
)
from geoseg.datasets.writer import OutputProfile, write_crop
from geoseg.errors import ConfigError, SourceError
from geoseg.failures import LOG, failure_line
from geoseg.prefetch import look_ahead, work_ahead
from geoseg.raster import (
    GDAL_CACHE_BYTES,
    PREPARE,
    Source,
    check_image,
    open_raster,
    opened_once,
    refuse_palette,
    stack,
)
from geoseg.raster.companions import local_companions

_VERSION = 2
"""Version of what is written; a change of it makes everything again."""


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """How each image is prepared."""

    layout: Layout
    scheme: ClassScheme
    attribute: str | None
    """Of polygons, that holds the class."""
    layer: str | None
    """Of polygons; None: the only one."""
    crs: str | None
    """Of images that have none."""
    patches: PatchOptions | None
    spatial_split: SpatialSplit
    nodata: tuple[float, ...] = ()
    """Values of images that mean no data, in place of the declared one."""
    stack: tuple[str, ...] = ()
    """Patterns of files that hold more bands of each image: see `geoseg.raster.companions`."""


@dataclass(frozen=True, slots=True)
class TilePlan:
    """The planned files of one image."""

    tile: str
    """Its name in the prepared folder."""
    profile: OutputProfile
    labels: LabelSource
    crops: tuple[Crop, ...]
    seen: tuple[Seen, ...]
    """Image and labels as they were when they were planned."""
    nodata: tuple[float, ...] = ()
    """What is given in place of the declared value."""
    drawn: DrawnFeatures | None = None
    """What becomes of the features of polygons."""

    def key(self) -> str:
        """A hash that changes with everything that the files of this tile depend on."""
        image = self.profile.image
        facts = (
            _VERSION,
            image.crs and image.crs.to_wkt(),
            self.profile.band_names,
            astuple(self.profile.scheme),
            [astuple(crop) for crop in self.crops],
        )
        digest = hashlib.sha256(repr(facts + self.nodata).encode())
        for each in self.seen:
            digest.update(each.fingerprint.encode())
        return digest.hexdigest()


def plan_tiles(
    pairs: Mapping[str, Pair], parts: Mapping[str, str], options: PrepareOptions
) -> tuple[list[TilePlan], list[str]]:
    """Plans of the images that can be used, and why the others cannot.

    Args:
        pairs: images with labels, by tile.
        parts: the part of each tile; ``blocks`` where the image itself is divided.
        options: what is to be made.

    Raises:
        ConfigError: an option is wrong, or polygons lie on none of the images.
    """
    plans: list[TilePlan] = []
    failures: list[str] = []

    def plan_one(tile: str) -> TilePlan:
        with opened_once(pairs[tile].raster), opened_once(pairs[tile].labels):
            return _plan_tile(pairs[tile], parts[tile], options)

    for tile, plan in zip(parts, look_ahead(plan_one, parts), strict=True):
        try:
            plans.append(plan.result())
        except ConfigError:
            raise  # of options, alike for all images
        except Exception as error:
            failures.append(failure_line(pairs[tile].raster, error))
            LOG.debug("%s", tile, exc_info=True)
    _refuse_misplaced(plans)
    return _with_same_bands(plans, failures), failures


def prepare_tiles(plans: Iterable[TilePlan], staging: Path) -> Generator[Future[PreparedTile]]:
    """`prepare_tile` of each plan, several at once, in threads; in the order of the plans.

    Close it, as by `contextlib.closing`, before the staging folder is removed.
    """

    def prepare(plan: TilePlan, stopped: Callable[[], bool]) -> PreparedTile:
        with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
            return prepare_tile(plan, staging, stopped)

    return work_ahead(prepare, plans)


def prepare_tile(
    plan: TilePlan, staging: Path, stopped: Callable[[], bool] = lambda: False
) -> PreparedTile:
    """Write all crops into a staging folder; those without a labelled pixel are left out.

    Args:
        plan: of the tile.
        staging: the folder.
        stopped: asked before each strip of a file; True ends the work with KeyboardInterrupt.

    Raises:
        SourceError: image or labels are damaged, or have changed meanwhile, or the labels hold too
            much that no class has, or nothing at all.
        VectorError: the polygons cannot be used.
        OutputError: a file cannot be written.
    """
    image, scheme = plan.profile.image, plan.profile.scheme
    if not plan.crops:
        raise SourceError(
            f"{image.path}: {image.height} x {image.width} pixels hold no whole patch; "
            "give a smaller --patch, or --edge pad"
        )
    pairs, nothing = [], Statistics((0,) * len(scheme))
    statistics: dict[str, Statistics] = {}
    with (
        opened_once(image.path),
        open_labels(plan.labels, image, scheme, "count") as labels,
        image.open() as reader,
    ):
        lines = check_image(image, None, PREPARE)
        for crop in plan.crops:
            names = [f"{crop.part}/{kind}/{plan.tile}{crop.suffix}.tif" for kind in KINDS]
            files = staging / names[0], staging / names[1]
            for file in files:
                file.parent.mkdir(parents=True, exist_ok=True)
            found = write_crop(crop, reader, labels, plan.profile, files, stopped)
            if not found.labelled:
                for file in files:
                    file.unlink()
                continue
            sums = [sha256_of(file) for file in files]
            row, col = crop.window.row, crop.window.col
            pairs.append(PreparedPair(crop.part, names[0], names[1], sums[0], sums[1], row, col))
            statistics[crop.part] = statistics.get(crop.part, nothing) + found
        lines += filter(None, [_warning(labels)])
    if not pairs:
        raise SourceError(
            f"{plan.labels.path}: no pixel of {image.path.name} is labelled; give other labels, or "
            "leave it out"
        )
    for each in plan.seen:
        each.refuse_changed("prepared")
    paths, text = (str(image.path), str(plan.labels.path)), "\n".join(lines) or None
    return PreparedTile(plan.tile, *paths, plan.key(), tuple(pairs), statistics, text)


def _warning(labels: Labels) -> str | None:
    return labels.unknown.warning() if isinstance(labels, RasterLabels) else None


def count_files(plans: Iterable[TilePlan], part: str) -> int:
    """How many pairs of files of a part the plans make."""
    return sum(crop.part == part for plan in plans for crop in plan.crops)


def _refuse_misplaced(plans: Sequence[TilePlan]) -> None:
    """Refuse polygons of which none lies on any image; files without any are negative images."""
    drawn = [plan.drawn for plan in plans if plan.drawn is not None]
    given = [one for one in drawn if one.polygons]
    if given and not any(one.here for one in drawn):
        others = " or any other image" if len(plans) > 1 else ""
        raise ConfigError(
            f"{given[0].path}: none of its polygons lies on {given[0].raster.name}{others}; check "
            "both coordinate systems"
        )


def _plan_tile(pair: Pair, part: str, options: PrepareOptions) -> TilePlan:
    image, names = _open_image(pair.raster, options)
    refuse_palette(image, "images need values of bands")
    crops = [whole_raster(part, image.height, image.width)]
    if part == "blocks":
        crops = options.spatial_split.divide(image.height, image.width)
    if options.patches is not None:
        # Training images alone: validation and tests look at whole rasters, as prediction does.
        crops = [
            patch
            for crop in crops
            for patch in (cut_patches(crop, options.patches) if crop.part == "train" else [crop])
        ]
    profile = OutputProfile(image, names, options.scheme)
    of_polygons = (options.attribute, options.layer) if is_vector(pair.labels) else ()
    found = find_labels(pair.labels, *of_polygons)
    seen = image.see(), see_labels(found, options.scheme)
    with open_labels(found, image, options.scheme, "count") as labels:
        drawn = labels.drawn if isinstance(labels, PolygonLabels) else None
    return TilePlan(pair.tile, profile, found, tuple(crops), seen, options.nodata, drawn)


def _open_image(path: Path, options: PrepareOptions) -> tuple[Source, tuple[str, ...]]:
    """An image with the files beside it, and what its bands are called."""
    own = open_raster(path)
    files = [path, *local_companions(path, options.stack)]
    open_files = partial(
        stack, files, nodata=options.nodata, crs=options.crs if own.crs is None else None
    )
    count = len(own.file_bands)
    names = options.layout.band_names(path, count)
    image = open_files()
    if names is None:
        return image, image.band_names
    # A data set that is known to have a fourth band has it as imagery, whatever the file says.
    more = [band for band in image.bands if band > count]
    names += tuple(image.file_bands[band - 1].name for band in more)
    return open_files(bands=[*range(1, count + 1), *more]), names


def _with_same_bands(plans: list[TilePlan], failures: list[str]) -> list[TilePlan]:
    """The plans whose images have the first one's bands, as no network takes others as well."""
    alike = []
    for plan in plans:
        first, image = plans[0].profile.image, plan.profile.image
        if (len(image.bands), image.dtype) == (len(first.bands), first.dtype):
            alike.append(plan)
        else:
            failures.append(
                f"{image.path}: has {len(image.bands)} band(s) of {image.dtype}, {first.path.name} "
                f"has {len(first.bands)} of {first.dtype}; prepare them separately"
            )
    return alike
