"""HCNet's scale-sensitive IoU: how well single objects are found, small ones apart from large ones.

"HCNet: Hierarchical Context Network for Semantic Segmentation", https://arxiv.org/abs/2010.04962,
section 4.1.4: S-IoU = |label and prediction| / |label or prediction| of each object (eq. 11),
averaged over the objects of each of three ranges of area, and over all objects (section 4.3,
table 3). The paper leaves open which predicted pixels are an object's mask "in the prediction
result". Here they are the 4-connected regions of the object's class that overlap the object, less
the pixels outside it that the reference gives to the same class (other objects, groups) or leaves
without label.
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
"""From object numbers to class ids; negative for an object that is not scored."""

SCALE_BINS = (0, 2500, 62500)
"""The paper's: areas in [0, 2500), [2500, 62500) and [62500, inf) pixels; each begins a range."""


@dataclass(frozen=True)
class InstanceIoU:
    """The S-IoU of each object."""

    area: Ints
    """Pixels of each object."""
    class_id: Ints
    """Its class."""
    iou: NDArray[np.float64]
    """Its S-IoU, 0..1."""

    def __add__(self, other: InstanceIoU) -> InstanceIoU:
        """The objects of both."""
        return InstanceIoU(
            np.concatenate([self.area, other.area]),
            np.concatenate([self.class_id, other.class_id]),
            np.concatenate([self.iou, other.iou]),
        )

    def of_classes(self, classes: NDArray[np.bool_]) -> InstanceIoU:
        """The objects of some classes: ``(n,)``, True for those."""
        kept = classes[self.class_id]
        return InstanceIoU(self.area[kept], self.class_id[kept], self.iou[kept])

    @property
    def mean(self) -> float:
        """The paper's overall mS-IoU: the mean over all objects; NaN without any."""
        return _mean(self.iou)

    def by_scale(self, bins: tuple[int, ...] = SCALE_BINS) -> list[tuple[int, float]]:
        """``(objects, mS-IoU)`` of each range of areas; NaN where there is no object."""
        scale = np.digitize(self.area, bins) - 1
        members = [self.iou[scale == index] for index in range(len(bins))]
        return [(found.size, _mean(found)) for found in members]


def scale_iou(
    reference: Labels,
    predicted: Labels,
    instances: NDArray[Any],
    *,
    class_of: ClassOf | None = None,
) -> InstanceIoU:
    """The S-IoU of every object of an image.

    Args:
        reference: ``(height, width)`` class ids, 255 where there is no label.
        predicted: the same shape; class ids, 254 or 255.
        instances: the same shape; a positive number per object, 0 where there is none.
        class_of: the class of each object; by default the one that most of its pixels have in the
            reference, of two with the same number of pixels the lower one.

    Raises:
        ConfigError: the shapes differ.
    """
    metric = ScaleIoU(class_of)
    metric.update(reference, predicted, instances)
    return metric.compute()


class ScaleIoU:
    """Objects and predicted regions of one raster, counted in full-width strips from top to bottom.

    Regions are numbered over all strips. Only those that touch an object, or the first or last row
    of a strip (where they may continue in the next one), are remembered.
    """

    def __init__(self, class_of: ClassOf | None = None) -> None:
        self._class_of = class_of
        self._regions: list[tuple[Labels, Ints]] = []
        """Class of each region, and its pixels outside objects where the reference differs."""
        self._overlaps: list[tuple[Ints, Ints, Ints]] = []
        """Region, object, pixels that they share."""
        self._instances: list[tuple[Ints, Ints, Ints]] = []
        """Object, class in the reference, pixels."""
        self._joins: list[tuple[Ints, Ints]] = []
        """Regions of neighbouring strips that are one."""
        self._count = 0
        self._last_row: tuple[Labels, Ints] | None = None
        """Predicted classes and regions of the last row seen."""

    def update(self, reference: Labels, predicted: Labels, instances: NDArray[Any]) -> None:
        """Count the next strip; arguments as in `scale_iou`.

        Raises:
            ConfigError: the shapes differ.
        """
        if not reference.shape == predicted.shape == instances.shape:
            raise ConfigError(
                f"reference {reference.shape}, prediction {predicted.shape} and objects "
                f"{instances.shape} differ in shape; give the same pixels of each"
            )
        labels = np.where(predicted == UNCERTAIN, np.uint8(NODATA), predicted)
        region, region_class = _label_regions(labels)

        inside = instances > 0
        numbers, index = np.unique(instances[inside].astype(np.int64), return_inverse=True)
        instance, actual, pixels = _count_pairs(index, reference[inside], 256)
        self._instances.append((numbers[instance], actual, pixels))

        touching, touched, common = _count_pairs(region[inside], index, numbers.size)
        differs = ~inside & (reference != NODATA) & (reference != labels)
        outside = np.bincount(region[differs], minlength=region_class.size)
        kept = np.zeros(region_class.size, np.bool_)
        kept[touching] = kept[region[0]] = kept[region[-1]] = True
        number = np.cumsum(kept) - 1 + self._count  # of each kept region, over all strips
        self._regions.append((region_class[kept], outside[kept]))
        self._overlaps.append((number[touching], numbers[touched], common))
        self._join(labels[0], number[region[0]])
        self._last_row = labels[-1], number[region[-1]]
        self._count += int(kept.sum())

    def _join(self, labels: Labels, regions: Ints) -> None:
        """Note which regions of a strip's first row continue from the row above."""
        if self._last_row is not None:
            labels_above, regions_above = self._last_row
            same = (labels_above == labels) & (labels != NODATA)
            self._joins.append((regions_above[same], regions[same]))

    def compute(self) -> InstanceIoU:
        """The S-IoU of every object, in the order of their numbers."""
        one, other = (_column(self._joins, part).astype(np.int32) for part in (0, 1))
        strip_class, outside = (_column(self._regions, part) for part in (0, 1))
        # The region over all strips of each region of a strip, and the class of the former.
        _, whole = connect(self._count, one, other)
        region_class = np.empty_like(strip_class)
        region_class[whole] = strip_class
        numbers, area, instance_class = self._classify_instances()

        region, number, pixels = (_column(self._overlaps, part) for part in range(3))
        scored = np.isin(number, numbers)
        region, number, pixels = whole[region[scored]], number[scored], pixels[scored]
        instance = np.searchsorted(numbers, number)
        own = region_class[region] == instance_class[instance]

        # The numerator of eq. 11: the object's pixels that are predicted as its class.
        common = np.bincount(instance[own], pixels[own], minlength=numbers.size)
        # What a region covers wrongly: pixels outside objects whose reference differs, and pixels
        # of objects of another class.
        wrong = np.bincount(whole, outside, minlength=self._count)
        wrong += np.bincount(region[~own], pixels[~own], minlength=self._count)
        # The denominator: the object, and what its regions cover wrongly; each region counts once,
        # in however many strips they meet.
        hit, hitting, _ = _count_pairs(instance[own], region[own], self._count)
        excess = np.bincount(hit, wrong[hitting], minlength=numbers.size)
        return InstanceIoU(area, instance_class, common / (area + excess))

    def _classify_instances(self) -> tuple[Ints, Ints, Ints]:
        """Numbers (ascending), areas and classes of the objects that have a class."""
        number, actual, pixels = (_column(self._instances, part) for part in range(3))
        numbers, instance = np.unique(number, return_inverse=True)
        area = np.bincount(instance, pixels, minlength=numbers.size).astype(np.int64)
        if self._class_of is not None:
            classes = self._class_of(numbers)
        else:
            classes = _most_frequent(instance, actual, np.where(actual == NODATA, 0, pixels))
            classes[classes == NODATA] = -1
        scored = classes >= 0
        return numbers[scored], area[scored], classes[scored].astype(np.int64)


def _most_frequent(instance: Ints, actual: Ints, pixels: Ints) -> Ints:
    """The class with the most pixels in each of the objects 0..k-1; of equals the lower one."""
    pairs, member = np.unique(instance * 256 + actual, return_inverse=True)
    total = np.bincount(member, pixels)
    candidate, classes = pairs // 256, pairs % 256
    order = np.lexsort((classes, -total, candidate))  # the last key counts first
    _, first = np.unique(candidate, return_index=True)
    best: Ints = classes[order][first]
    return best


def _label_regions(labels: Labels) -> tuple[NDArray[np.int32], Labels]:
    """4-connected regions of one label: the region 0..k-1 of each pixel, each region's label."""
    starts = np.ones(labels.shape, np.bool_)
    starts[:, 1:] = labels[:, 1:] != labels[:, :-1]
    # A run is a stretch of equal labels along a row; there are far fewer runs than pixels.
    run = (np.cumsum(starts.ravel(), dtype=np.int32) - 1).reshape(labels.shape)
    # Two runs above one another overlap from a column on where one of them starts.
    meet = (labels[1:] == labels[:-1]) & (starts[1:] | starts[:-1])
    count, region_of_run = connect(int(run[-1, -1]) + 1, run[1:][meet], run[:-1][meet])
    region_label = np.empty(count, labels.dtype)
    region_label[region_of_run] = labels[starts]
    return region_of_run[run], region_label


def _count_pairs(first: NDArray[Any], second: NDArray[Any], end: int) -> tuple[Ints, Ints, Ints]:
    """The distinct pairs, ascending, and how often each occurs; `second` is below `end`."""
    pairs, count = np.unique(first.astype(np.int64) * end + second, return_counts=True)
    return pairs // end, pairs % end, count


def _column(parts: list[Any], index: int) -> Any:
    return np.concatenate([part[index] for part in parts]) if parts else np.zeros(0, np.int64)


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")
