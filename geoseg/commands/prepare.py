"""A data set as it is handed out, made into rasters that train directly.

The story: find images and labels and pair them by tile; divide them into parts; open and check every pair; keep what
stands; write the others piece by piece; leave a classes file and a manifest. What fails is named, the others go on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio

from geoseg.classes import ClassScheme
from geoseg.datasets.labelled import Division, Labelled, divide, pair_labels
from geoseg.datasets.layouts import Layout, choose_pattern, find_layout
from geoseg.datasets.manifest import Folder
from geoseg.datasets.patches import Edge, Patching, Piece, cut_patches, whole
from geoseg.datasets.polygon_labels import PolygonLabels
from geoseg.datasets.preparation import Job, check_alike, is_vector, make
from geoseg.datasets.spatial_blocks import Blocks, split_blocks
from geoseg.datasets.splits import PARTS
from geoseg.datasets.summary import finish
from geoseg.datasets.writer import Form
from geoseg.errors import ConfigError, GeosegError, OutputError
from geoseg.files import lock_folder, temporary_folder
from geoseg.progress import Progress
from geoseg.raster import open_raster, parse_crs
from geoseg.report import Report, counted, nothing_usable
from geoseg.yaml_files import read_classes

PathLike = str | os.PathLike[str]

_CACHE = 64 * 2**20
"""Of decoded blocks; GDAL would take 5 % of the machine's memory."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be made of each image."""

    layout: Layout
    scheme: ClassScheme
    attribute: str | None
    crs: str | None
    patching: Patching | None
    blocks: Blocks


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
    crs: str | None = None,
    block: int | None = None,
    gap: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Prepare a data set for training.

    Args:
        dataset: ``vaihingen``, ``potsdam``, ``cityscapes``, or ``folder`` for any images and labels.
        src: where it lies; for ``folder`` also a single image.
        dst: gets ``train``, ``val`` and ``test``, each with ``images`` and ``labels``, and ``classes.yaml`` and
            ``manifest.json``.
        split: a preset of the data set (``isprs``, ``geoseg``, ``audebert12-4``), or ``tiles``, ``blocks``,
            ``folders``, ``all``; the data set's usual one by default.
        patch: side of the patches that the images of ``train`` are cut into; whole without it.
        stride: from one patch to the next; the side by default.
        edge: what does not fill a last patch: ``shift`` it inward, ``pad`` it without labels, or ``drop`` it;
            it is shifted by default.
        images: a file, a folder or a pattern below `src`; the data set's own by default.
        labels: likewise, values or colours; or polygons, one file for all images or a pattern.
        classes: a classes file, ``isprs``, ``cityscapes``, its content, or a scheme; the data set's own by default.
        attribute: of the polygons, that holds the name or value of a class; else all are of the one class beside
            ``background``.
        crs: the coordinate system of images that name none.
        block: about the side of the blocks of split ``blocks``.
        gap: pixels between blocks of ``train`` and ``val``; 64 by default.
        overwrite: remove what stands in `dst` from another preparation.
        progress: who listens; nobody by default.

    Returns:
        What stands in `dst`. `exit_code` is 1 where files were left out.

    Raises:
        ConfigError: an option is wrong, a part of the split stays empty, or no image can be used; nothing was begun.
        OutputError: `dst` holds something else, cannot be written, or another run writes into it.
    """
    started = time.perf_counter()
    listener = progress or Progress()
    layout = find_layout(dataset)
    scheme, patching = _scheme(layout, classes), _patching(patch, stride, edge)
    if crs is not None:
        parse_crs(crs)  # also where no image needs it
    wanted = _Wanted(layout, scheme, attribute, crs, patching, _blocks(block, gap))
    labelled, alone, root = _found(layout, Path(src), images, labels)
    _refuse_own(labelled, Path(dst))
    division = divide(layout, labelled, split, root)
    _refuse_idle(labelled, division, attribute, {"--block": block, "--gap": gap})
    jobs, failures = _checked(labelled, division, wanted)
    failures = [*alone, *division.failures, *failures]
    if not jobs:
        raise nothing_usable(failures)
    with lock_folder(Path(dst), "DST"):
        folder = Folder(Path(dst))
        kept = _clear(folder, jobs, overwrite=overwrite)
        listener.note(_plan(jobs, division, kept))
        failures += _made(jobs, kept, folder, listener)
        if not folder.entries:
            raise nothing_usable(failures)
        return finish(folder, jobs, kept, failures, division, layout.name, started)


def _patching(patch: int | None, stride: int | None, edge: Edge | None) -> Patching | None:
    if patch is not None:
        return Patching(patch, patch if stride is None else stride, edge or "shift")
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
            "--classes: is missing; give a classes file, isprs or cityscapes, to say what the labels mean"
        )
    return layout.scheme


def _found(
    layout: Layout, src: Path, images: PathLike | None, labels: PathLike | None
) -> tuple[dict[str, Labelled], list[str], Path]:
    """Images with labels, lines about lonely files, and the folder that patterns count from."""
    if not src.exists():
        raise ConfigError(f"{src}: no such file or folder; give the folder of the data set")
    root = src.parent if src.is_file() else src
    if images is None and src.is_file():
        images = src.name
    image_files, label_files = (
        choose_pattern(patterns, root, what) if given is None else str(root / given)
        for what, given, patterns in (
            ("images", images, layout.images),
            ("labels", labels, layout.labels),
        )
    )
    return *pair_labels(layout, image_files, label_files, root), root


def _refuse_own(labelled: Mapping[str, Labelled], dst: Path) -> None:
    """Refuse to read what an earlier run has written."""
    written = [(dst / part).resolve() for part in PARTS]
    for entry in labelled.values():
        if any(entry.image.resolve().is_relative_to(folder) for folder in written):
            raise ConfigError(
                f"{entry.image}: lies where {dst} gets its files; give other --images, or another folder"
            )


def _blocks(block: int | None, gap: int | None) -> Blocks:
    return Blocks(block) if gap is None else Blocks(block, gap)


def _refuse_idle(
    labelled: Mapping[str, Labelled],
    division: Division,
    attribute: str | None,
    of_blocks: Mapping[str, int | None],
) -> None:
    """Refuse options that would do nothing: they were meant to."""
    if attribute is not None and not any(is_vector(entry.labels) for entry in labelled.values()):
        raise ConfigError(
            f"--attribute {attribute}: goes with polygons, and the labels are rasters; leave it out"
        )
    for option, number in of_blocks.items():
        if number is not None and division.split != "blocks":
            raise ConfigError(
                f"{option} {number}: goes with --split blocks, not {division.split}; give both, or leave it out"
            )


def _checked(
    labelled: Mapping[str, Labelled], division: Division, wanted: _Wanted
) -> tuple[list[Job], list[str]]:
    """The images that can be used, and why the others cannot."""
    jobs, failures, burnt = [], [], []
    for tile, part in division.parts.items():
        try:
            job = _job(labelled[tile], part, wanted)
            labels = job.open_labels()
            labels.close()
        except ConfigError:
            raise  # of options, alike for all images
        except GeosegError as error:
            failures.append(str(error))
        else:
            jobs.append(job)
            burnt += [len(labels)] if isinstance(labels, PolygonLabels) else []
    if burnt and not any(burnt):
        raise ConfigError(
            f"{jobs[0].labels}: none of its polygons lies on {jobs[0].image.path.name}"
            + (" or any other image" if len(jobs) > 1 else "")
            + "; check both coordinate systems"
        )
    alike, others = check_alike(jobs)
    return alike, failures + others


def _job(entry: Labelled, part: str, wanted: _Wanted) -> Job:
    image = open_raster(entry.image)
    names = wanted.layout.band_names(entry.image, len(image.file_bands))
    # A data set that is known to have a fourth band has it as imagery, whatever the file takes it for.
    bands = None if names is None else range(1, len(names) + 1)
    image = open_raster(entry.image, bands=bands, crs=wanted.crs if image.crs is None else None)
    names = names or image.band_names
    pieces = (
        split_blocks(image.height, image.width, wanted.blocks)
        if part == "blocks"
        else whole(part, image.height, image.width)
    )
    cut = tuple(small for piece in pieces for small in _cut(piece, wanted.patching))
    attribute = wanted.attribute if is_vector(entry.labels) else None
    return Job(entry.tile, Form(image, names, wanted.scheme), entry.labels, attribute, cut)


def _cut(piece: Piece, patching: Patching | None) -> list[Piece]:
    """Only what is learnt from is cut: validation and tests look at whole rasters, as prediction does."""
    return [piece] if patching is None or piece.part != "train" else cut_patches(piece, patching)


def _clear(folder: Folder, jobs: Sequence[Job], *, overwrite: bool) -> set[str]:
    """The tiles that stand already; refuses, or removes, what stands from something else."""
    differing = folder.differing({job.tile: job.key() for job in jobs})
    if differing and not overwrite:
        raise OutputError(
            f"{next(iter(differing.values()))}; --overwrite removes it, another folder keeps it"
        )
    for tile in differing:
        folder.remove(tile)
    folder.refuse_strangers()
    return {job.tile for job in jobs if folder.done(job.tile)}


def _plan(jobs: Sequence[Job], division: Division, kept: set[str]) -> str:
    files = {
        part: sum(piece.part == part for job in jobs for piece in job.pieces) for part in PARTS
    }
    counts = ", ".join(f"{part} {count:,}" for part, count in files.items() if count)
    return (
        f"split {division.split}: of {counted(len(jobs), 'image')} come {counts or 'no'} files"
        + (f"; {counted(len(kept), 'image')} already there" if kept else "")
    )


def _made(jobs: Sequence[Job], kept: set[str], folder: Folder, listener: Progress) -> list[str]:
    """Make what does not stand; lines about what failed."""
    failures = []
    folder.begin()
    listener.begin("preparing images", len(jobs))
    try:
        with (
            rasterio.Env(GDAL_CACHEMAX=_CACHE),
            temporary_folder(folder.path / "staging") as staging,
        ):
            for job in jobs:
                if job.tile not in kept:
                    try:
                        folder.add(make(job, staging), staging)
                    except OutputError:
                        raise  # the disk: the others would fail as well, and the next run goes on here
                    except GeosegError as error:
                        failures.append(str(error))
                listener.advance(1)
    finally:
        listener.end()
    return failures
