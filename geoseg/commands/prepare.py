"""A data set as it is distributed, converted into rasters that are ready for training.

The story: find images and labels and pair them by tile; divide them into parts; open and check
every pair; keep what exists; write the others crop by crop; write a classes file and a manifest.
What fails is named, the others continue.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from geoseg.classes import ClassScheme
from geoseg.datasets.class_files import read_classes
from geoseg.datasets.crops import Edge, PatchOptions, SpatialSplit
from geoseg.datasets.file_keys import is_vector
from geoseg.datasets.layouts import PARTS, Layout, find_labelled_images, find_layout
from geoseg.datasets.manifest import CLASSES, PreparedFolder
from geoseg.datasets.pairing import Pair
from geoseg.datasets.preparation import (
    PrepareOptions,
    TilePlan,
    count_files,
    plan_tiles,
    prepare_tiles,
)
from geoseg.datasets.splits import Division, divide
from geoseg.datasets.summary import Summary, classes_text, summary_text
from geoseg.errors import ConfigError, OutputError
from geoseg.failures import begun, naming_the_rest, per_input
from geoseg.files import temporary_folder
from geoseg.foreign import with_allow_remote
from geoseg.given import given_path, path_text
from geoseg.locks import lock_folder
from geoseg.progress import Progress
from geoseg.raster import parse_crs
from geoseg.raster.companions import Patterns, given_patterns
from geoseg.raster.nodata import given_values
from geoseg.report import Report, counted, nothing_usable

PathLike = str | os.PathLike[str]


@with_allow_remote
def run(
    dataset: str,
    src: PathLike,
    dst: PathLike,
    *,
    split: str | None = None,
    patch: int | None = None,
    stride: int | None = None,
    edge: Edge | None = None,
    images: PathLike | None = None,
    labels: PathLike | None = None,
    classes: PathLike | Sequence[Any] | ClassScheme | None = None,
    attribute: str | None = None,
    layer: str | None = None,
    crs: str | None = None,
    nodata: float | Sequence[float] | None = None,
    stack: Patterns = (),
    block: int | None = None,
    gap: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Prepare a data set for training.

    Args:
        dataset: ``vaihingen``, ``potsdam``, ``cityscapes``, or ``folder`` for any images.
        src: where it is; for ``folder`` also a single image.
        dst: gets ``train``, ``val`` and ``test``, each with ``images`` and ``labels``, and
            ``classes.yaml`` and ``manifest.json``.
        split: a preset of the data set (``isprs``, ``geoseg``, ``audebert12-4``), or ``tiles``,
            ``blocks``, ``folders``, ``all``; the data set's usual one by default.
        patch: side of the patches that the images of ``train`` are cut into; whole without it.
        stride: from one patch to the next; the side by default.
        edge: a last patch beyond the image: ``shift`` it inward (default), ``pad`` it without
            labels, or ``drop`` it.
        images: a file, a folder or a pattern below `src`; the data set's own by default.
        labels: likewise, values or colours; or polygons, one file for all images or a pattern.
        classes: a classes file, ``isprs``, ``cityscapes``, its content, or a scheme; the data set's
            own by default.
        attribute: of the polygons, that holds the name or value of a class; else all are of the one
            class besides ``background``.
        layer: of the polygons, where a file has several.
        crs: the coordinate system of images that have none.
        nodata: values of images that mean no data, in place of the one that they declare.
        stack: patterns of files with more bands of each image, such as ``{stem}_dsm.tif``.
        block: approximate side of the areas of split ``blocks``.
        gap: pixels between areas of ``train`` and ``val``; 64 by default.
        overwrite: remove what exists in `dst` from another preparation.
        progress: is informed of what happens; by default a bar in notebooks and terminals.

    Returns:
        The content of `dst`. `exit_code` is 1 where files were left out.

    Raises:
        ConfigError: an option is wrong, a part of the split is empty, or no image can be used.
        OutputError: `dst` holds something else, cannot be written, or another run writes into it.
    """
    started = time.perf_counter()
    layout = find_layout(dataset)
    scheme, patches = _scheme(layout, classes), _patches(patch, stride, edge)
    if crs is not None:
        parse_crs(crs)  # also where no image needs it
    spatial = SpatialSplit(block) if gap is None else SpatialSplit(block, gap)
    more = given_values(nodata), given_patterns("--stack", stack)
    options = PrepareOptions(layout, scheme, attribute, layer, crs, patches, spatial, *more)
    root, image_files = _root_of(Path(given_path("src", src)), images)
    label_files = None if labels is None else path_text("labels", labels)
    pairs, failures = find_labelled_images(layout, root, image_files, label_files)
    target = Path(given_path("dst", dst))
    _refuse_own_files(pairs, target)
    division = divide(layout, pairs, split, root)
    of_polygons = {"--attribute": attribute, "--layer": layer}
    _refuse_idle_options(pairs, division, of_polygons, {"--block": block, "--gap": gap})
    plans, keys, failures = _plans(pairs, division, options, failures)
    with lock_folder(target, "DST"):
        folder = PreparedFolder(target)
        if not overwrite:
            folder.refuse_other_classes(classes_text(scheme))
        unusable = division.parts.keys() - keys
        kept = _keep_tiles(folder, keys, unusable, overwrite=overwrite)
        listener = progress or Progress()
        listener.note(_plan_text(plans, division, kept))
        with begun():
            failures = _prepare_tiles(plans, kept, folder, failures, listener)
            summary = _finish(folder, layout.name, division, plans, scheme, failures)
    return _report(folder, summary, kept, failures, time.perf_counter() - started)


def _plans(
    pairs: Mapping[str, Pair], division: Division, options: PrepareOptions, failures: list[str]
) -> tuple[list[TilePlan], dict[str, str], list[str]]:
    """Plans of the images that can be used, their keys by tile, and why others cannot.

    Raises:
        ConfigError: none can be used.
    """
    plans, refused = plan_tiles(pairs, division.parts, options)
    failures = [*failures, *division.failures, *refused]
    if not plans:
        raise nothing_usable(failures)
    return plans, {plan.tile: plan.key() for plan in plans}, failures


def _finish(
    folder: PreparedFolder,
    name: str,
    division: Division,
    plans: list[TilePlan],
    scheme: ClassScheme,
    failures: list[str],
) -> Summary:
    """Write the manifest of what was made or kept."""
    if not folder.tiles:
        raise nothing_usable(failures)
    tiles = [folder.tiles[plan.tile] for plan in plans if plan.tile in folder.tiles]
    summary = Summary(name, division, plans, tiles)
    with naming_the_rest((), failures):
        folder.finish(summary.facts(), classes_text(scheme))
    return summary


def _report(
    folder: PreparedFolder, summary: Summary, kept: set[str], failures: list[str], seconds: float
) -> Report:
    failures = failures + summary.empty_parts()
    data = summary.facts() | {
        "folder": str(folder.path),
        "classes_file": str(folder.path / CLASSES),
        "made": sum(tile.tile not in kept for tile in summary.tiles),
        "kept": len(kept),
        "left_out": summary.division.left_out,
        "label_files": summary.label_files(),
        "warnings": summary.warnings(),
        "failures": failures,
        "seconds": round(seconds, 3),
    }
    return Report(summary_text(data), data, int(bool(failures)))


def _patches(patch: int | None, stride: int | None, edge: Edge | None) -> PatchOptions | None:
    if patch is not None:
        return PatchOptions(patch, patch if stride is None else stride, edge or "shift")
    for option, given in (("--stride", stride), ("--edge", edge)):
        if given is not None:
            raise ConfigError(f"{option} {given}: goes with --patch; give both")
    return None


def _scheme(layout: Layout, classes: PathLike | Sequence[Any] | ClassScheme | None) -> ClassScheme:
    if isinstance(classes, ClassScheme):
        return classes
    if classes is not None:
        return read_classes(os.fspath(classes) if isinstance(classes, os.PathLike) else classes)
    if layout.scheme is None:
        raise ConfigError(
            "--classes: is missing; give a classes file, isprs or cityscapes, to say what the "
            "labels mean"
        )
    return layout.scheme


def _root_of(src: Path, images: PathLike | None) -> tuple[Path, str | None]:
    if not src.exists():
        raise ConfigError(f"{src}: no such file or folder; give the folder of the data set")
    given = None if images is None else path_text("images", images)
    return (src.parent, given or src.name) if src.is_file() else (src, given)


def _refuse_own_files(pairs: Mapping[str, Pair], dst: Path) -> None:
    written = [(dst / part).resolve() for part in PARTS]
    for pair in pairs.values():
        if any(pair.raster.resolve().is_relative_to(folder) for folder in written):
            raise ConfigError(
                f"{pair.raster}: lies where {dst} gets its files; give other --images, or another "
                "folder"
            )


def _refuse_idle_options(
    pairs: Mapping[str, Pair],
    division: Division,
    of_polygons: Mapping[str, str | None],
    of_blocks: Mapping[str, int | None],
) -> None:
    """Refuse options that would have no effect."""
    rasters = not any(is_vector(pair.labels) for pair in pairs.values())
    for option, name in of_polygons.items():
        if name is not None and rasters:
            raise ConfigError(
                f"{option} {name}: goes with polygons, and the labels are rasters; leave it out"
            )
    for option, number in of_blocks.items():
        if number is not None and division.split != "blocks":
            raise ConfigError(
                f"{option} {number}: goes with --split blocks, not {division.split}; give both, or "
                "leave it out"
            )


def _keep_tiles(
    folder: PreparedFolder, keys: Mapping[str, str], unusable: Collection[str], *, overwrite: bool
) -> set[str]:
    """The tiles that exist already; refuses, or removes, what was made from something else.

    The files of tiles whose image or labels are unusable today stay as they are.
    """
    changed = folder.changed_tiles(keys, () if overwrite else unusable)
    if changed and not overwrite:
        reason = next(iter(changed.values()))
        raise OutputError(f"{reason}; --overwrite removes it, another folder keeps it")
    folder.refuse_foreign_files()
    for tile in changed:
        folder.remove(tile)
    return {tile for tile in keys if folder.is_complete(tile)}


def _plan_text(plans: Sequence[TilePlan], division: Division, kept: set[str]) -> str:
    files = {part: count_files(plans, part) for part in PARTS}
    counts = ", ".join(f"{part} {count:,}" for part, count in files.items() if count)
    existing = f"; {counted(len(kept), 'image')} already there" if kept else ""
    images = counted(len(plans), "image")
    return f"split {division.split}: {images} become {counts or 'no'} files{existing}"


def _prepare_tiles(
    plans: Sequence[TilePlan],
    kept: set[str],
    folder: PreparedFolder,
    failures: Sequence[str],
    listener: Progress,
) -> list[str]:
    """Write the tiles that are not kept; returns the failures so far with those of tiles."""
    failures = list(failures)
    missing = [plan for plan in plans if plan.tile not in kept]
    waiting = [str(plan.profile.image.path) for plan in missing]
    listener.begin("preparing images", len(plans))
    try:
        with (
            naming_the_rest(waiting, failures),
            temporary_folder(folder.path / "staging") as staging,
            closing(prepare_tiles(missing, staging)) as made,
        ):
            folder.begin()
            for plan in plans:
                if plan.tile not in kept:
                    with per_input(waiting.pop(0), failures.append):
                        folder.add(next(made).result(), staging)
                listener.advance(1)
    finally:
        listener.end()
    return failures
