"""Which regions of a raster lie side by side, and along how many pixel sides.

A graph of a part holds all of its regions: those at its border may go on in the neighbour. Graphs
of parts are joined as their polygons are, and what can never matter for regions that are too small
is left out on the way: borders between two regions that are large enough, and regions without any
other border. So a graph grows with the number of small regions alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.tiling import Window
from geoseg.vector.components import COLUMN_BITS, Components, find_components
from geoseg.vector.part_regions import Side

Large = Callable[[NDArray[np.uint8], NDArray[np.int64]], NDArray[np.bool_]]
"""Whether regions of these classes and areas never vanish, however they grow."""


@dataclass(frozen=True, slots=True)
class RegionGraph:
    """Regions, and the borders between them. Holds arrays alone."""

    class_id: NDArray[np.uint8]
    area: NDArray[np.int64]
    """Pixels of each region, or what they weigh."""
    first: NDArray[np.int64]
    """Number of its first pixel in row-major order."""
    one: NDArray[np.int64]
    """A region with a border; less than the one in `other`."""
    other: NDArray[np.int64]
    length: NDArray[np.int64]
    """Pixel sides of the border between the two."""

    def contracted(self, count: int, number: NDArray[np.int32]) -> RegionGraph:
        """The graph of sets of regions.

        Args:
            count: of sets.
            number: the set of each region; all of a set have one class.
        """
        class_id = np.empty(count, np.uint8)
        class_id[number] = self.class_id
        area = np.zeros(count, np.int64)
        np.add.at(area, number, self.area)
        first = np.full(count, np.iinfo(np.int64).max)
        np.minimum.at(first, number, self.first)
        borders = borders_of(number[self.one], number[self.other], self.length)
        return RegionGraph(class_id, area, first, *borders)

    def where(self, borders: NDArray[np.bool_]) -> RegionGraph:
        """The same regions with some of the borders."""
        return replace(
            self, one=self.one[borders], other=self.other[borders], length=self.length[borders]
        )


def borders_of(
    one: NDArray[np.integer], other: NDArray[np.integer], length: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of numbers, each once, the smaller one first, with the sums of their lengths."""
    pair = np.minimum(one, other).astype(np.int64) << COLUMN_BITS
    pair |= np.maximum(one, other)
    apart = one != other
    pair, length = pair[apart], length[apart]
    order = np.argsort(pair, kind="stable")
    pair, length = pair[order], length[order]
    new = np.flatnonzero(np.diff(pair, prepend=-1) != 0)
    sums = np.add.reduceat(length, new) if new.size else length
    pair = pair[new]
    return pair >> COLUMN_BITS, pair & (1 << COLUMN_BITS) - 1, sums


@dataclass(frozen=True, slots=True)
class AreaGraph:
    """The graph of an area of a raster, and how it goes on beyond the area's sides."""

    area: Window
    graph: RegionGraph
    top: Side
    """The pixels along it; pieces are regions of the graph."""
    bottom: Side
    left: Side
    right: Side

    @property
    def sides(self) -> tuple[Side, Side, Side, Side]:
        """Top, bottom, left, right."""
        return self.top, self.bottom, self.left, self.right


def find_graph(
    labels: NDArray[np.uint8],
    weights: NDArray[np.int64] | None,
    row: int,
    col: int,
    is_large: Large,
) -> tuple[Components, AreaGraph]:
    """The regions of one part of a raster and their graph.

    Args:
        labels: ``(height, width)`` class ids of the part; 254 and 255 belong to no region.
        weights: of the pixels, of the same shape; None: 1 each.
        row: the part's first row in the raster.
        col: its first column.
        is_large: says which regions never vanish.
    """
    components = find_components(labels, None)
    inside = slice(1, -1)
    places = ((1, inside), (-2, inside), (inside, 1), (inside, -2))
    lines = [components.line(*place) for place in places]
    sides = [Side(regions.astype(np.int64), class_id) for regions, class_id in lines]
    area = components.pixels if weights is None else components.weighed(weights)
    first = components.first_pixels(row, col)

    may_matter = ~is_large(components.class_id, area)
    for side in sides:
        may_matter[side.piece[side.piece >= 0]] = True
    one, other = _neighbours(components, may_matter)
    borders = borders_of(one, other, np.ones(one.size, np.int64))
    graph = RegionGraph(components.class_id, area, first, *borders)
    return components, AreaGraph(Window(row, col, *labels.shape), graph, *sides)


def _neighbours(
    components: Components, may_matter: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The regions on both sides of each pixel side that may matter."""
    flat, stride = components.framed.ravel(), components.framed.shape[1]
    # The last entry is that of region -1 (nodata).
    has_region = np.append(np.ones(may_matter.size, np.bool_), False)
    matters = np.append(may_matter, False)
    before = np.flatnonzero(flat[:-stride] != flat[stride:])
    pairs = [
        (components.region_of_run[:-1], components.region_of_run[1:]),
        (components.region_at(before), components.region_at(before + stride)),
    ]
    chosen = [
        has_region[one] & has_region[other] & (matters[one] | matters[other])
        for one, other in pairs
    ]
    ones, others = (
        np.concatenate([pair[side][keep] for pair, keep in zip(pairs, chosen, strict=True)])
        for side in (0, 1)
    )
    return ones, others


def graph_arrays(each: AreaGraph) -> list[NDArray[Any]]:
    """A graph as arrays, for `geoseg.vector.array_files`."""
    graph, area = each.graph, each.area
    return [
        np.array([area.row, area.col, area.height, area.width]),
        *(getattr(graph, column.name) for column in fields(graph)),
        *(side.piece for side in each.sides),
        *(side.class_id for side in each.sides),
    ]


def graph_of_arrays(arrays: Sequence[NDArray[Any]]) -> AreaGraph:
    """What `graph_arrays` was given."""
    place, columns, borders = arrays[0], arrays[1:7], arrays[7:]
    sides = map(Side, borders[:4], borders[4:])
    return AreaGraph(Window(*place.tolist()), RegionGraph(*columns), *sides)
