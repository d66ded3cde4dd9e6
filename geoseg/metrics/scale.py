"""HCNet's scale-sensitive IoU: how well single objects are found, small ones apart from large ones.

"HCNet: Hierarchical Context Network for Semantic Segmentation", https://arxiv.org/abs/2010.04962, section 4.1.4:
S-IoU = |label and prediction| / |label or prediction| of each object (eq. 11), averaged over the objects of each of
three ranges of area, and over all objects (section 4.3, table 3). The paper leaves open which predicted pixels are
an object's mask "in the prediction result". Here they are the 4-connected regions of the object's class that overlap
the object, less the pixels outside it that the reference gives to the same class (other objects, groups of objects)
or leaves without label.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, UNCERTAIN
from geoseg.errors import ConfigError
from geoseg.tiling import connect

Labels = NDArray[np.uint8]
Ints = NDArray[np.int64]
ClassOf = Callable[[Ints], Ints]
"""From object numbers to class ids; negative for an object that is not judged."""

SCALE_BINS = (0, 2500, 62500)
"""The paper's: areas in [0, 2500), [2500, 62500) and [62500, inf) pixels; each number begins a range."""


@dataclass(frozen=True)
class ScaleIoU:
    """The S-IoU of objects."""

    area: Ints
    """Pixels of each object."""
    class_id: Ints
    """Its class."""
    iou: NDArray[np.float64]
    """Its S-IoU, 0..1."""

    def __add__(self, other: ScaleIoU) -> ScaleIoU:
        """The objects of both."""
        return ScaleIoU(
            np.concatenate([self.area, other.area]),
            np.concatenate([self.class_id, other.class_id]),
            np.concatenate([self.iou, other.iou]),
        )

    def among(self, classes: NDArray[np.bool_]) -> ScaleIoU:
        """The objects of some classes: ``(n,)``, True for those."""
        kept = classes[self.class_id]
        return ScaleIoU(self.area[kept], self.class_id[kept], self.iou[kept])

    @property
    def mean(self) -> float:
        """The paper's overall mS-IoU: the mean over all objects; NaN without any."""
        return float(self.iou.mean()) if self.iou.size else float("nan")

    def by_scale(self, bins: tuple[int, ...] = SCALE_BINS) -> list[tuple[int, float]]:
        """``(objects, mS-IoU)`` of each range of areas; the mean is NaN where there is no object."""
        place = np.digitize(self.area, bins) - 1
        members = [self.iou[place == index] for index in range(len(bins))]
        return [
            (found.size, float(found.mean()) if found.size else float("nan")) for found in members
        ]


def scale_iou(
    reference: Labels,
    predicted: Labels,
    instances: NDArray[Any],
    *,
    class_of: ClassOf | None = None,
) -> ScaleIoU:
    """The S-IoU of every object of an image.

    Args:
        reference: ``(height, width)`` class ids, 255 where there is no label.
        predicted: the same shape; class ids, 254 or 255.
        instances: the same shape; a positive number an object, 0 where there is none.
        class_of: the class of each object; by default the one that most of its pixels have in the reference.

    Raises:
        ConfigError: the shapes differ.
    """
    counter = ObjectCounter(class_of)
    counter.update(reference, predicted, instances)
    return counter.result()


class ObjectCounter:
    """Objects and predicted regions of one raster, counted in full-width strips from top to bottom.

    Only regions that touch an object, or the border of a strip, are remembered.
    """

    def __init__(self, class_of: ClassOf | None = None) -> None:
        self._class_of = class_of
        self._regions: list[tuple[Labels, Ints]] = []
        """Of each strip's regions: class, and pixels outside objects where the reference has another class."""
        self._overlaps: list[tuple[Ints, Ints, Ints]] = []
        """Region, object, pixels."""
        self._objects: list[tuple[Ints, Ints, Ints]] = []
        """Object, class in the reference, pixels."""
        self._joins: list[tuple[Ints, Ints]] = []
        """Regions of neighbouring strips that are one."""
        self._count = 0
        self._above: tuple[Labels, Ints] | None = None
        """The last row: predicted classes and regions."""

    def update(self, reference: Labels, predicted: Labels, instances: NDArray[Any]) -> None:
        """Count the next strip; arguments as in `scale_iou`."""
        if not reference.shape == predicted.shape == instances.shape:
            raise ConfigError(
                f"reference {reference.shape}, prediction {predicted.shape} and objects {instances.shape} differ in "
                "shape; give the same pixels of each"
            )
        labels = np.where(predicted == UNCERTAIN, np.uint8(NODATA), predicted)
        region, region_class = _regions(labels)
        inside = instances > 0
        held, number = np.unique(instances[inside].astype(np.int64), return_inverse=True)
        seen, seen_pixels = np.unique(number * 256 + reference[inside], return_counts=True)
        pairs, pixels = np.unique(
            region[inside].astype(np.int64) * max(held.size, 1) + number, return_counts=True
        )
        touching, touched = pairs // max(held.size, 1), pairs % max(held.size, 1)
        wrong = ~inside & (reference != NODATA) & (reference != labels)
        outside = np.bincount(region[wrong], minlength=region_class.size)

        kept = np.zeros(region_class.size, np.bool_)
        kept[touching] = kept[region[-1]] = kept[region[0]] = True
        name = np.cumsum(kept) - 1 + self._count
        if self._above is not None:
            classes, regions = self._above
            same = (classes == labels[0]) & (classes != NODATA)
            joins = np.unique(np.stack([regions[same], name[region[0]][same]]), axis=1)
            self._joins.append((joins[0], joins[1]))
        self._regions.append((region_class[kept], outside[kept]))
        self._overlaps.append((name[touching], held[touched], pixels))
        self._objects.append((held[seen // 256], seen % 256, seen_pixels))
        self._above = labels[-1], name[region[-1]]
        self._count += int(kept.sum())

    def result(self) -> ScaleIoU:
        """The S-IoU of every object, in the order of their numbers."""
        if not self._count:
            return ScaleIoU(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
        first, second = (_joined(self._joins, part).astype(np.int32) for part in (0, 1))
        root = connect(self._count, first, second).astype(np.int64)
        objects, area, object_class = self._judged_objects()

        overlap_region, overlap_object, pixels = (
            _joined(self._overlaps, part) for part in range(3)
        )
        overlap_region = root[overlap_region]
        known = np.isin(overlap_object, objects)
        overlap_region, pixels = overlap_region[known], pixels[known]
        place = np.searchsorted(objects, overlap_object[known])
        region_class = _joined(self._regions, 0).astype(np.int64)
        own = region_class[overlap_region] == object_class[place]

        beyond = np.zeros(self._count, np.int64)
        np.add.at(beyond, root, _joined(self._regions, 1))
        np.add.at(beyond, overlap_region[~own], pixels[~own])
        common = np.bincount(place[own], pixels[own], minlength=objects.size)
        hits = np.unique(np.stack([place[own], overlap_region[own]]), axis=1)
        excess = np.bincount(hits[0], beyond[hits[1]], minlength=objects.size)
        return ScaleIoU(area, object_class, common / (area + excess))

    def _judged_objects(self) -> tuple[Ints, Ints, Ints]:
        """Numbers (ascending), areas and classes of the objects that have a class."""
        number, label, pixels = (_joined(self._objects, part) for part in range(3))
        objects, place = np.unique(number, return_inverse=True)
        area = np.bincount(place, pixels, minlength=objects.size).astype(np.int64)
        if self._class_of is not None:
            classes = self._class_of(objects)
        else:
            votes, counted = np.unique(np.stack([place, label]), axis=1, return_inverse=True)
            total = np.bincount(counted.ravel(), np.where(label == NODATA, 0, pixels))
            order = np.lexsort(
                (-votes[1], total, votes[0])
            )  # an object's best last; of two equals the lower class
            last = np.searchsorted(votes[0][order], np.arange(objects.size), side="right") - 1
            classes = votes[1][order][last]
            classes = np.where(classes == NODATA, -1, classes)
        judged = classes >= 0
        return objects[judged], area[judged], classes[judged].astype(np.int64)


def _regions(labels: Labels) -> tuple[NDArray[np.int32], Labels]:
    """4-connected regions of one label: the region of each pixel, 0..k-1, and the label of each region."""
    starts = np.ones(labels.shape, np.bool_)
    starts[:, 1:] = labels[:, 1:] != labels[:, :-1]
    run = (np.cumsum(starts.ravel(), dtype=np.int32) - 1).reshape(labels.shape)
    # Two runs above one another overlap from a column on where one of them starts.
    meet = (labels[1:] == labels[:-1]) & (starts[1:] | starts[:-1])
    root = connect(int(run[-1, -1]) + 1, run[1:][meet], run[:-1][meet])
    first = root == np.arange(root.size)
    number = np.cumsum(first, dtype=np.int32) - 1
    return number[root][run], labels[starts][first]


def _joined(parts: list[Any], index: int) -> Any:
    return np.concatenate([part[index] for part in parts]) if parts else np.zeros(0, np.int64)
