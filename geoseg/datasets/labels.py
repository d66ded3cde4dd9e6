"""Labels of an image, window by window, from whatever holds them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import ClassScheme
from geoseg.datasets.label_reader import LabelReader, most_frequent
from geoseg.errors import SourceError
from geoseg.raster import Source, describe_grid, same_grid
from geoseg.tiling import Window

_STRANGE = 0.01
"""Share of the pixels. More in colours that no class has are labels of something else, not slips of a brush."""
_IMAGE = 1000
"""Distinct colours or values. More are no classes, whatever a classes file says."""


class Labels(ABC):
    """Class ids on the grid of an image."""

    @abstractmethod
    def read(self, window: Window, valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """``(height, width)`` class ids, 255 where there is no label.

        Args:
            window: inside the image.
            valid: ``(height, width)`` where the image shows anything.
        """

    def unknown(self) -> str | None:
        """A line about what was read and is no class's; None where there is nothing of that.

        Raises:
            SourceError: it is too much to leave out.
        """
        return None

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""


class RasterLabels(Labels):
    """Values or colours of a label raster. Those of no class become unlabelled, and are counted."""

    def __init__(self, source: Source, scheme: ClassScheme) -> None:
        self._reader = LabelReader(source, scheme)
        self._strangers: Counter[str] = Counter()
        self._read = 0

    def read(self, window: Window, valid: NDArray[np.bool_]) -> NDArray[np.uint8]:  # noqa: ARG002 - stay as given
        """As the file has them, also where the image shows nothing."""
        ids, strangers = self._reader.read_and_count(
            window.row, window.col, window.height, window.width
        )
        self._strangers.update(strangers)
        self._read += ids.size
        return ids

    def unknown(self) -> str | None:
        """The most frequent values or colours that are no class's, of all that was read."""
        if not self._strangers:
            return None
        kind, path = self._reader.kind, self._reader.source.path
        held = f"{path}: {kind} {most_frequent(self._strangers)}"
        if len(self._strangers) > _IMAGE:
            raise SourceError(
                f"{path}: holds {len(self._strangers):,} {kind}s that are no class's, as an image does; give its labels"
            )
        if sum(self._strangers.values()) > _STRANGE * self._read:
            raise SourceError(
                f"{held} is no class's and not ignored; the classes have {self._reader.known}: give a classes file "
                f"with all {kind}s, or mend the labels"
            )
        return f"{held} is no class's; these pixels are left without label"

    def close(self) -> None:
        """Let go of the file."""
        self._reader.__exit__()


def check_labels(image: Source, labels: Source) -> None:
    """Refuse a label raster that does not lie pixel on pixel on its image.

    Raises:
        SourceError: size or place differ.
    """
    if not same_grid(image, labels):
        raise SourceError(
            f"{labels.path}: {describe_grid(labels)} do not lie on {image.path.name} ({describe_grid(image)}); "
            "give labels of the same pixels, or warp them first"
        )
