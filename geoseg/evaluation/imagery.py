"""The imagery of a prediction, for pictures: given, or named by the report of ``predict``."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.datasets.file_keys import tile_key
from geoseg.datasets.pairing import objects_by_tile
from geoseg.errors import ConfigError, GeosegError, SourceError
from geoseg.evaluation.pairs import RasterPair
from geoseg.given import path_text
from geoseg.raster import Source, describe_grid, imagery_picture, open_raster, reproject, same_grid
from geoseg.report import shorten
from geoseg.tiling import Window

_REPORT = "report.json"
Images = dict[str, list[Path]]
"""By tile."""


def given_images(given: str | os.PathLike[str] | None) -> Images | None:
    """The images that were named, by tile; None where none were.

    Raises:
        ConfigError: there are no such files.
    """
    if given is None:
        return None
    found = objects_by_tile(path_text("images", given))
    if not found:
        raise ConfigError(f"images {given}: no such files; give a file, a folder or a pattern")
    return found


def refuse_idle_images(images: Images | None, pairs: Sequence[RasterPair]) -> None:
    """Refuse images of which none is that of a pair.

    Raises:
        ConfigError: with their tiles, and those of the pairs.
    """
    only = len(pairs) == 1
    if images is None or any(len(_named(images, pair, only_pair=only)) == 1 for pair in pairs):
        return
    raise ConfigError(
        f"images: those of {shorten(sorted(images))} are given, and the predictions are of "
        f"{shorten([pair.tile for pair in pairs])}; give one image a tile, whose name has the tile "
        "in it, as that of a prediction has"
    )


def _named(images: Images, pair: RasterPair, *, only_pair: bool) -> list[Path]:
    """The images of a pair, of which there should be one."""
    every = [each for files in images.values() for each in files]
    if only_pair and len(every) == 1:
        return every
    keys = (pair.tile, tile_key(pair.predicted.path))
    return next((images[key] for key in keys if key in images), [])


class Imagery:
    """Finds the imagery of pairs, and says once why a pair has none.

    Args:
        images: those that were named; None: the reports of ``predict`` beside predictions tell.
        only_pair: whether one image is that of the pair, whatever its name.
    """

    def __init__(self, images: Images | None, *, only_pair: bool) -> None:
        self.notes: list[str] = []
        self._images = images
        self._only_pair = only_pair
        self._reports: dict[Path, dict[Path, Path]] = {}

    def picture(self, pair: RasterPair, cell: Window, side: int) -> NDArray[np.uint8] | None:
        """``(height, width, 4)`` uint8 of a window of a pair's grid; None without imagery.

        Args:
            pair: what is compared.
            cell: the window.
            side: of the picture at most, in pixels.
        """
        try:
            image = self.find(pair)
            return None if image is None else _drawn(image, pair.reference, cell, side)
        except GeosegError as error:
            self._note(f"no imagery is shown: {error}")
            return None

    def _note(self, line: str) -> None:
        if line not in self.notes:
            self.notes.append(line)

    def find(self, pair: RasterPair) -> Path | None:
        """The imagery of a pair; None where none is known, which is noted."""
        path = pair.predicted.path
        if self._images is None:
            image = self._reported(path)
            if image is None:
                self._note(
                    "no imagery is shown where no report of geoseg predict beside the predictions "
                    "names it; name it with --images"
                )
            return image
        found = _named(self._images, pair, only_pair=self._only_pair)
        if len(found) == 1:
            return found[0]
        what = f"{shorten(map(str, found))} are all" if found else "no file is"
        self._note(f"{path}: {what} imagery of its tile, {pair.tile}; name one by --images")
        return None

    def _reported(self, prediction: Path) -> Path | None:
        """The image that a report in a folder above the prediction names, if it is there."""
        place = prediction.absolute()
        folder = next((each for each in place.parents if (each / _REPORT).is_file()), None)
        if folder is None:
            return None
        if folder not in self._reports:
            self._reports[folder] = _images_of(folder / _REPORT)
        # The report lies in the folder of the outputs, whatever that was called when it was made.
        below = place.relative_to(folder).parts
        made = [path for path in self._reports[folder] if path.parts[-len(below) :] == below]
        if not made:
            return None
        image = self._reports[folder][min(made, key=lambda path: len(path.parts))]
        return image if image.is_file() else None


def _images_of(report: Path) -> dict[Path, Path]:
    """The image of each class raster, as ``predict`` reports them."""
    try:
        inputs: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["inputs"]
        named = [(each["outputs"]["classes"], each["path"]) for each in inputs if "outputs" in each]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {Path(made): Path(image) for made, image in named if isinstance(made, str)}


def _drawn(path: Path, grid: Source, cell: Window, side: int) -> NDArray[np.uint8]:
    image = open_raster(path)
    top = left = 0
    if not same_grid(image, grid):
        if not all(each.georeferenced and each.crs is not None for each in (image, grid)):
            raise SourceError(
                f"{path}: {describe_grid(image)} do not lie on the grid of {grid.path} "
                f"({describe_grid(grid)}); give the images of these tiles with --images"
            )
        image, top, left = reproject(image, grid)
        below, beside = top >= grid.height, left >= grid.width
        if below or beside or top + image.height <= 0 or left + image.width <= 0:
            raise SourceError(
                f"{path}: lies beside {grid.path} altogether; give the images of these tiles with "
                "--images"
            )
    picture = np.zeros((cell.height, cell.width, 4), np.uint8)
    row, col = max(cell.row, top), max(cell.col, left)  # the image may begin beyond the grid
    height = min(cell.row_end, top + image.height) - row
    width = min(cell.col_end, left + image.width) - col
    if height > 0 and width > 0:
        seen = Window(row - top, col - left, height, width)
        colors, valid = imagery_picture(image, seen, max(height, width))
        place = Window(row, col, height, width).slices(cell.row, cell.col)
        picture[place] = np.dstack([colors, np.where(valid, 255, 0).astype(np.uint8)])
    step = -(-max(picture.shape) // side)
    return picture[::step, ::step]
