"""The part of each tile: trained on, validated on, or tested on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from geoseg.datasets.layouts import PARTS, Layout, Preset, folders_below
from geoseg.datasets.pairing import Pair
from geoseg.errors import ConfigError
from geoseg.report import shorten

GENERIC_SPLITS = (
    "tiles",  # every fifth tile, drawn by its name, is for validation
    "blocks",  # a fifth of each image, in areas with a gap to the rest
    "folders",  # parts by the folders train, val and test
    "all",  # everything is trained on
)
"""Splits that any data set can have."""
_VALIDATION_SHARE = 5
"""One of so many tiles."""


@dataclass(frozen=True, slots=True)
class Division:
    """The part of every usable image, and why others have none."""

    split: str
    parts: dict[str, str]
    """Part of each tile; ``blocks`` where the image itself is divided."""
    failures: list[str] = field(default_factory=list)
    """Tiles that should be there and are not."""
    left_out: list[str] = field(default_factory=list)
    """What the split does not use, and why."""


def divide(layout: Layout, pairs: Mapping[str, Pair], split: str | None, root: Path) -> Division:
    """The part of every tile.

    Args:
        layout: of the data set.
        pairs: images with labels, by tile.
        split: a preset of the data set or one of `GENERIC_SPLITS`; None: the data set's own, or
            what the files suggest.
        root: folders below it may be named like parts.

    Raises:
        ConfigError: there is no such split, or one of its parts stays empty.
    """
    chosen = split or layout.split or _suggest_split(pairs, root)
    if chosen in layout.splits:
        preset = layout.splits[chosen]
        division = _divide_by_preset(chosen, preset, layout, pairs)
        wanted = [part for part in PARTS if getattr(preset, part)]
    elif chosen in GENERIC_SPLITS:
        division = _divide_by_files(chosen, pairs, root)
        wanted = ["blocks"] if chosen == "blocks" else ["train"]
    else:
        known = ", ".join([*layout.splits, *GENERIC_SPLITS])
        raise ConfigError(f"--split {chosen}: {layout.name} has no such split; choose {known}")
    for part in wanted:
        if part not in division.parts.values():
            reasons = "; ".join([*division.failures, *division.left_out][:2])
            why = f" ({reasons})" if reasons else ""
            raise ConfigError(
                f"--split {chosen}: part {part} is empty{why}; add its files, or choose another "
                "--split"
            )
    return division


def split_by_name(tiles: Iterable[str]) -> dict[str, str]:
    """Part of each tile: a fifth, at least one, is for validation, drawn by a hash of the names.

    So the same tiles fall into the same parts on every machine, in whatever order they are found.

    Raises:
        ConfigError: there is one tile only.
    """
    drawn = sorted(tiles, key=lambda tile: hashlib.sha256(tile.encode()).digest())
    if len(drawn) < 2:
        raise ConfigError(
            f"split tiles: {len(drawn)} labelled image cannot be divided; use --split blocks, or "
            "all"
        )
    count = max(1, len(drawn) // _VALIDATION_SHARE)
    return {tile: "val" if index < count else "train" for index, tile in enumerate(drawn)}


def part_of_folders(root: Path, path: Path) -> str | None:
    """The part that a folder between the root and a file names; None if none does."""
    names = (folder.casefold() for folder in folders_below(root, path))
    return next((name for name in names if name in PARTS), None)


def _suggest_split(pairs: Mapping[str, Pair], root: Path) -> str:
    if all(part_of_folders(root, pair.raster) for pair in pairs.values()):
        return "folders"
    return "blocks" if len(pairs) == 1 else "tiles"


def _divide_by_preset(
    name: str, preset: Preset, layout: Layout, pairs: Mapping[str, Pair]
) -> Division:
    by_number = {layout.tile_number(tile): tile for tile in pairs}
    division = Division(name, {})
    for part in PARTS:
        wanted = getattr(preset, part)
        missing = [number for number in wanted if number not in by_number]
        division.parts.update({by_number[n]: part for n in wanted if n in by_number})
        if missing:
            division.failures.append(
                f"{part}: {len(missing)} of {len(wanted)} tiles lack image or labels: "
                f"{shorten(missing)}"
            )
    for number, why in preset.excluded.items():
        if number in by_number:
            division.left_out.append(f"tile {number}: {why}")
    others = sorted(by_number.keys() - preset.parts.keys() - preset.excluded.keys())
    if others:
        division.left_out.append(f"not in split {name}: {shorten(others)}")
    return division


def _divide_by_files(name: str, pairs: Mapping[str, Pair], root: Path) -> Division:
    if name == "tiles":
        return Division(name, split_by_name(pairs))
    if name != "folders":
        return Division(name, dict.fromkeys(pairs, "blocks" if name == "blocks" else "train"))
    parts = {tile: part_of_folders(root, pair.raster) for tile, pair in pairs.items()}
    outside = [str(pairs[tile].raster) for tile, part in parts.items() if part is None]
    left_out = [f"in no folder called {', '.join(PARTS)}: {shorten(outside)}"] if outside else []
    found = {tile: part for tile, part in parts.items() if part is not None}
    return Division(name, found, left_out=left_out)
