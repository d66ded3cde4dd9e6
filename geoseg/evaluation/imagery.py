"""The imagery of a prediction, for pictures: given, or named by the report of ``predict``."""

from __future__ import annotations

import json
import os
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
        every = [each for files in self._images.values() for each in files]
        keys = (pair.tile, tile_key(path))
        found = next((self._images[key] for key in keys if key in self._images), [])
        found = every if self._only_pair and len(every) == 1 else found
        if len(found) == 1:
            return found[0]
        several = "several" if found else "no"
        self._note(f"{path}: {several} files of imagery for tile {pair.tile}; name one a tile")
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
