"""The facts of a prepared folder, for its manifest and for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import yaml

import geoseg
from geoseg.classes import NODATA, ClassScheme
from geoseg.datasets.drawn_features import (
    DrawnFeatures,
    describe_counts,
    feature_counts,
    feature_warnings,
)
from geoseg.datasets.layouts import PARTS
from geoseg.datasets.manifest import PreparedTile
from geoseg.datasets.polygon_labels import Polygons
from geoseg.datasets.preparation import TilePlan, count_files
from geoseg.datasets.raster_labels import nodata_warnings
from geoseg.datasets.splits import Division
from geoseg.datasets.statistics import Statistics
from geoseg.raster import shared_notes
from geoseg.report import counted, shorten


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run of `prepare` has made."""

    dataset: str
    """Name of the layout."""
    division: Division
    plans: Sequence[TilePlan]
    """All that was wanted, at least one."""
    tiles: Sequence[PreparedTile]
    """All that exists of it."""

    @property
    def scheme(self) -> ClassScheme:
        """The classes."""
        return self.plans[0].profile.scheme

    def facts(self) -> dict[str, Any]:
        """The head of the manifest: classes, parts, and bands of the training images."""
        train = self._statistics("train")
        band_names = self.plans[0].profile.band_names
        return {
            "geoseg": geoseg.__version__,
            "dataset": self.dataset,
            "split": self.division.split,
            "classes": list(self.scheme.names),
            "parts": dict(self._parts()),
            "bands": [] if train is None else train.band_table(band_names),
        }

    def empty_parts(self) -> list[str]:
        """A line for each part that should hold something and does not."""
        planned = {part for part in PARTS if count_files(self.plans, part)}
        wanted = planned | set(self.division.parts.values())
        if "blocks" in wanted:
            wanted |= {"train", "val"}
        why = "none of its images can be used; correct them, or choose another --split"
        unlabelled = "nothing of it is labelled; choose another --split or other labels"
        made = dict(self._parts())
        return [
            f"{part}: is empty, as {unlabelled if part in planned else why}"
            for part in PARTS
            if part in wanted and part not in made
        ]

    def warnings(self) -> list[str]:
        """Lines about what the user may want to change."""
        lines = [line for tile in self.tiles for line in (tile.warning or "").splitlines()]
        lines += feature_warnings(self._drawn())
        for part, facts in self._parts():
            absent = [repr(name) for name, pixels in facts["class_pixels"].items() if not pixels]
            if absent:
                what = "class" if len(absent) == 1 else "classes"
                occurs = "never occurs" if len(absent) == 1 else "never occur"
                lines.append(
                    f"{part}: {what} {shorten(absent, 20)} {occurs}, and cannot be learned or "
                    "scored there"
                )
        if self.division.split == "folders" and "val" not in self.division.parts.values():
            lines.append(
                "val: is empty, as no image is in a folder called val; --split tiles or blocks "
                "makes one"
            )
        labels = (plan.labels for plan in self.plans)
        rasters = [source for source in labels if not isinstance(source, Polygons)]
        images = [plan.profile.image for plan in self.plans]
        lines += nodata_warnings(rasters, self.scheme) + self._without_crs()
        return lines + shared_notes(images + rasters)

    def label_files(self) -> list[dict[str, Any]]:
        """A row for each file of polygons: how many features were burnt, clipped and dropped."""
        return feature_counts(self._drawn())

    def _drawn(self) -> list[DrawnFeatures]:
        return [plan.drawn for plan in self.plans if plan.drawn is not None]

    def _without_crs(self) -> list[str]:
        images = (plan.profile.image for plan in self.plans)
        paths = [image.path for image in images if image.georeferenced and image.crs is None]
        if not paths:
            return []
        more = f", like {len(paths) - 1} more" if len(paths) > 1 else ""
        return [f"{paths[0]}: has no coordinate system{more}; --crs EPSG:N gives it one"]

    def _parts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """A row for each part that holds something, ready for JSON."""
        for part in PARTS:
            total = self._statistics(part)
            if total is not None:
                pixels = dict(zip(self.scheme.names, total.class_pixels, strict=True))
                tiles = sum(part in tile.statistics for tile in self.tiles)
                files = sum(pair.part == part for tile in self.tiles for pair in tile.pairs)
                yield part, {"tiles": tiles, "files": files, "class_pixels": pixels}

    def _statistics(self, part: str) -> Statistics | None:
        found = [tile.statistics[part] for tile in self.tiles if part in tile.statistics]
        return reduce(add, found) if found else None


def classes_text(scheme: ClassScheme) -> str:
    """The classes file for prepared labels, which hold the class ids themselves."""
    entries = [
        {"id": index, "name": name, "color": list(color)}
        for index, (name, color) in enumerate(zip(scheme.names, scheme.colors, strict=True))
    ]
    document = {"classes": entries, "ignore": NODATA}
    text = yaml.safe_dump(document, sort_keys=False, default_flow_style=None)
    return "# What the labels beside this file mean.\n" + text


def summary_text(data: Mapping[str, Any]) -> str:
    """The report of a run for people: images and files by part, class shares, band statistics."""
    parts, width = data["parts"], max(map(len, data["classes"]))
    labelled = {part: sum(facts["class_pixels"].values()) for part, facts in parts.items()}
    lines = [
        f"{data['folder']}/{part}: {counted(facts['tiles'], 'image')} in "
        f"{counted(facts['files'], 'file')}, {labelled[part]:,} labelled pixels"
        for part, facts in parts.items()
    ]
    lines.append(f"  {'':<{width}}" + "".join(f"{part:>10}" for part in parts))
    for name in data["classes"]:
        shares = (facts["class_pixels"][name] / labelled[part] for part, facts in parts.items())
        lines.append(f"  {name:<{width}}" + "".join(f"{share:>10.2%}" for share in shares))
    lines += [
        f"  {band['name']}: mean {band['mean']:.4g}, deviation {band['std']:.4g}"
        for band in data["bands"]
    ]
    if data["label_files"]:
        lines.append(describe_counts(data["label_files"]))
    lines += [f"left out: {line}" for line in data["left_out"]]
    lines.append(
        f"split {data['split']}; {counted(data['made'], 'image')} made, {data['kept']:,} kept "
        f"({data['seconds']:,.1f} s); classes in {data['classes_file']}"
    )
    return "\n".join(lines)
