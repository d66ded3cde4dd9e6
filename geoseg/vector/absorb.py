"""Regions that are too small go to their neighbours.

Each small region goes to the neighbour with which it has the longest border; of several, to the
largest, then that of the lowest class, then that whose first pixel comes first. All decide at once,
on the regions as they are:

    a -> b -> c          a and b become part of c: who goes to one that goes on follows it to the
                         end.
    a -> b <-> c         b and c go to one another: the larger one (then the lower class, the first
                         pixel) stays, and a goes with it. Longer circles do not exist: the borders
                         along one would all be equally long, and "comes before" has no circles.

What then is of one class side by side is one region, and all is repeated until no region that has a
neighbour is too small. So the answer depends on no order, and on no way to cut the raster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, UNCERTAIN
from geoseg.tiling import Window, connect
from geoseg.vector.components import find_components
from geoseg.vector.graph_join import join_graphs
from geoseg.vector.region_graph import AreaGraph, Large, RegionGraph


def absorb_small(graph: RegionGraph, is_large: Large) -> NDArray[np.uint8]:
    """The class of each region when no region with a neighbour is too small any more.

    Args:
        graph: of a whole raster.
        is_large: says which regions never vanish.
    """
    place: NDArray[np.integer] = np.arange(graph.class_id.size)
    while graph.one.size:
        graph = replace(graph, class_id=graph.class_id[_ends(_targets(graph, is_large))])
        same = graph.class_id[graph.one] == graph.class_id[graph.other]
        count, number = connect(graph.class_id.size, graph.one[same], graph.other[same])
        graph = graph.contracted(count, number)
        large = is_large(graph.class_id, graph.area)
        graph = graph.where(~(large[graph.one] & large[graph.other]))
        place = number[place]
    class_id: NDArray[np.uint8] = graph.class_id[place]
    return class_id


def _targets(graph: RegionGraph, is_large: Large) -> NDArray[np.int64]:
    """Where each region goes: a small one to its neighbour, any other stays."""
    rank = np.empty(graph.class_id.size, np.int64)
    rank[np.lexsort((graph.first, graph.class_id, -graph.area))] = np.arange(rank.size)
    source = np.concatenate([graph.one, graph.other])
    neighbour = np.concatenate([graph.other, graph.one])
    small = ~is_large(graph.class_id, graph.area)[source]
    source, neighbour = source[small], neighbour[small]
    length = np.concatenate([graph.length, graph.length])[small]
    order = np.lexsort((rank[neighbour], -length, source))  # the last key counts most
    best = order[np.flatnonzero(np.diff(source[order], prepend=-1))]
    target = np.arange(rank.size)
    target[source[best]] = neighbour[best]
    stays = (target[target] == np.arange(rank.size)) & (rank < rank[target])
    target[stays] = np.flatnonzero(stays)
    return target


def _ends(target: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each region ends when all go on to where they go."""
    while True:
        further = target[target]
        if (further == target).all():
            return target
        target = further


def absorb_areas(
    graphs: Sequence[AreaGraph], shape: tuple[int, int], is_large: Large
) -> list[NDArray[np.uint8]]:
    """The class of each region in the graphs of areas that tile a raster.

    Args:
        graphs: that cover the raster once.
        shape: rows and columns of the raster.
        is_large: says which regions never vanish.
    """
    whole, numbers = join_graphs(graphs, Window(0, 0, *shape), shape, is_large)
    class_id = np.append(absorb_small(whole.graph, is_large), np.uint8(NODATA))
    return [
        np.where(number >= 0, class_id[number], each.graph.class_id)
        for each, number in zip(graphs, numbers, strict=True)
    ]


def clean_labels(
    labels: NDArray[np.uint8], number: NDArray[np.int64], class_id: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """The labels of a part with the classes that its regions got.

    Args:
        labels: as `find_graph` had them.
        number: of each region of the part in the graph of its area; -1 for one that is not in it.
        class_id: of each region in that graph, from `absorb_areas`.
    """
    components = find_components(labels, None)
    known = np.append(class_id, np.uint8(NODATA))[number]
    cleaned = components.relabelled(np.where(number >= 0, known, components.class_id))
    return np.where(labels >= UNCERTAIN, labels, cleaned)
