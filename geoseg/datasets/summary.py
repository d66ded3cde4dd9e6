"""What a prepared folder holds: its classes file, its manifest, and a few lines for a person."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any

import yaml

import geoseg
from geoseg.datasets.label_reader import hidden_warnings
from geoseg.datasets.labelled import Division
from geoseg.datasets.manifest import CLASSES, Entry, Folder
from geoseg.datasets.preparation import Job, is_vector, scheme_document
from geoseg.datasets.splits import PARTS
from geoseg.datasets.tally import Tally
from geoseg.raster import open_raster
from geoseg.report import Report, counted


def finish(
    folder: Folder,
    jobs: Sequence[Job],
    kept: set[str],
    failures: list[str],
    division: Division,
    dataset: str,
    started: float,
) -> Report:
    """Write classes file and manifest of a prepared folder, and tell of it.

    Args:
        folder: with an entry for each job that succeeded.
        jobs: all that was wanted, at least one.
        kept: tiles that stood before.
        failures: lines about what did not succeed; a line is added for each part that has become empty.
        division: of the tiles.
        dataset: name of the layout.
        started: when, by `time.perf_counter`.

    Raises:
        OutputError: a file cannot be written.
    """
    scheme = jobs[0].form.scheme
    entries = [folder.entries[job.tile] for job in jobs if job.tile in folder.entries]
    parts, train = _parts(entries, scheme.names)
    failures += _empty(parts, jobs, division)
    bands = train.bands(jobs[0].form.band_names)
    facts: dict[str, Any] = {
        "geoseg": geoseg.__version__,
        "dataset": dataset,
        "split": division.split,
    }
    facts |= {"classes": list(scheme.names), "parts": parts, "bands": bands}
    classes = "# What the labels beside this file mean.\n" + yaml.safe_dump(
        scheme_document(scheme), sort_keys=False, default_flow_style=None
    )
    folder.finish(facts, classes)
    warnings = [entry.warning for entry in entries if entry.warning] + _warnings(
        parts, jobs, division
    )
    seconds = time.perf_counter() - started
    data = facts | {
        "folder": str(folder.path),
        "classes_file": str(folder.path / CLASSES),
        "made": sum(entry.tile not in kept for entry in entries),
        "kept": len(kept),
        "left_out": division.left_out,
        "warnings": warnings,
        "failures": failures,
        "seconds": round(seconds, 3),
    }
    return Report(_text(data), data, int(bool(failures)))


def _parts(entries: Sequence[Entry], names: Sequence[str]) -> tuple[dict[str, Any], Tally]:
    """A table of the parts, ready for JSON, and the figures of what is learnt from."""
    parts: dict[str, Any] = {}
    train = Tally((0,) * len(names))
    for part in PARTS:
        tallies = [entry.tallies[part] for entry in entries if part in entry.tallies]
        if tallies:
            total = reduce(add, tallies)
            train = total if part == "train" else train
            files = sum(made.part == part for entry in entries for made in entry.made)
            pixels = dict(zip(names, total.class_pixels, strict=True))
            parts[part] = {"tiles": len(tallies), "files": files, "class_pixels": pixels}
    return parts, train


def _empty(parts: Mapping[str, Any], jobs: Sequence[Job], division: Division) -> list[str]:
    """A line for each part that should hold something and does not."""
    cut = {piece.part for job in jobs for piece in job.pieces}
    wanted = cut | (
        {"train", "val"} if "blocks" in division.parts.values() else set(division.parts.values())
    )
    unlabelled = "nothing of it is labelled; choose another --split or other labels"
    unusable = "none of its images can be used; mend them, or choose another --split"
    return [
        f"{part}: is empty, as {unlabelled if part in cut else unusable}"
        for part in PARTS
        if part in wanted and part not in parts
    ]


def _warnings(parts: Mapping[str, Any], jobs: Sequence[Job], division: Division) -> list[str]:
    lines = []
    for part, facts in parts.items():
        absent = [repr(name) for name, pixels in facts["class_pixels"].items() if not pixels]
        if len(absent) == 1:
            lines.append(
                f"{part}: class {absent[0]} never occurs; nothing can be learnt or judged of it there"
            )
        elif absent:
            named = ", ".join(absent)
            lines.append(
                f"{part}: classes {named} never occur; nothing can be learnt or judged of them there"
            )
    if division.split == "folders" and "val" not in division.parts.values():
        lines.append(
            "val: is empty, as no image lies in a folder called val; --split tiles or blocks makes one"
        )
    rasters = (open_raster(job.labels) for job in jobs if not is_vector(job.labels))
    lines += hidden_warnings(rasters, jobs[0].form.scheme)
    placeless = [
        job.image.path for job in jobs if job.image.georeferenced and job.image.crs is None
    ]
    if placeless:
        lines.append(
            f"{placeless[0]}: has no coordinate system"
            + (f", like {len(placeless) - 1} more" if len(placeless) > 1 else "")
            + "; --crs EPSG:N gives it one"
        )
    return lines


def _text(data: Mapping[str, Any]) -> str:
    parts, width = data["parts"], max(map(len, data["classes"]))
    lines = [
        f"{data['folder']}/{part}: {counted(facts['tiles'], 'image')} in {counted(facts['files'], 'file')}, "
        f"{sum(facts['class_pixels'].values()):,} labelled pixels"
        for part, facts in parts.items()
    ]
    lines.append(f"  {'':<{width}}" + "".join(f"{part:>10}" for part in parts))
    for name in data["classes"]:
        shares = (
            facts["class_pixels"][name] / sum(facts["class_pixels"].values())
            for facts in parts.values()
        )
        lines.append(f"  {name:<{width}}" + "".join(f"{share:>10.2%}" for share in shares))
    lines += [
        f"  {band['name']}: mean {band['mean']:.4g}, deviation {band['std']:.4g}"
        for band in data["bands"]
    ]
    lines += [f"left out: {line}" for line in data["left_out"]]
    lines.append(
        f"split {data['split']}; {counted(data['made'], 'image')} made, {data['kept']:,} kept "
        f"({data['seconds']:,.1f} s); "
        f"classes in {data['classes_file']}"
    )
    return "\n".join(lines)
