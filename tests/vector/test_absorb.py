"""Small regions against six plain lines, whatever the parts were."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from geoseg.tiling import Window
from geoseg.vector.absorb import absorb_small
from geoseg.vector.graph_join import join_graphs
from geoseg.vector.region_graph import Large, find_graph

Cut = tuple[int, int, int, int]


def regions_of(labels: np.ndarray) -> list[np.ndarray]:
    """A mask of each region, in the order of first pixels."""
    masks = []
    for class_id in np.unique(labels[labels < 254]):
        numbers, count = ndimage.label(labels == class_id)
        masks += [numbers == number + 1 for number in range(count)]
    return sorted(masks, key=lambda mask: int(mask.ravel().argmax()))


def border(one: np.ndarray, other: np.ndarray) -> int:
    """Pixel sides that two masks share."""
    return sum(
        int((a[1:] & b[:-1]).sum() + (a[:, 1:] & b[:, :-1]).sum())
        for a, b in ((one, other), (other, one))
    )


def merged(labels: np.ndarray, least: float, keep: set[int], weights: np.ndarray) -> np.ndarray:
    """The rule word by word."""
    while True:
        masks = regions_of(labels)
        facts = [(-weights[m].sum(), labels[m][0], i) for i, m in enumerate(masks)]
        to = list(range(len(masks)))
        for i, mask in enumerate(masks):
            beside = [(-border(mask, m), facts[j], j) for j, m in enumerate(masks) if j != i]
            beside = [each for each in beside if each[0] < 0]
            if -facts[i][0] < least and facts[i][1] not in keep and beside:
                to[i] = min(beside)[2]
        if to == list(range(len(masks))):
            return labels
        after = labels.copy()
        for i, mask in enumerate(masks):
            way = [i]
            while to[way[-1]] not in way:
                way.append(to[way[-1]])
            circle = way[way.index(to[way[-1]]) :]
            after[mask] = min(facts[j] for j in circle)[1]
        labels = after


def large(least: float, keep: set[int]) -> Large:
    def is_large(class_id: np.ndarray, area: np.ndarray) -> np.ndarray:
        return (area >= least) | np.isin(class_id, list(keep))

    return is_large


def by_graph(
    labels: np.ndarray, weights: np.ndarray, is_large: Large, cuts: tuple[list[int], list[int]]
) -> np.ndarray:
    """The same through graphs of parts, of rows of parts, and of the raster."""
    parts, rows = [], []
    for top, bottom in zip([0, *cuts[0]], [*cuts[0], labels.shape[0]], strict=True):
        row = []
        for left, right in zip([0, *cuts[1]], [*cuts[1], labels.shape[1]], strict=True):
            place = (slice(top, bottom), slice(left, right))
            row.append((place, *find_graph(labels[place], weights[place], top, left, is_large)))
        area = Window(top, 0, bottom - top, labels.shape[1])
        rows.append(join_graphs([each[2] for each in row], area, labels.shape, is_large))
        parts.append(row)
    whole, of_rows = join_graphs(
        [each[0] for each in rows], Window(0, 0, *labels.shape), labels.shape, is_large
    )
    class_id = np.append(absorb_small(whole.graph, is_large), 255)
    found = np.full(labels.shape, 255, np.uint8)
    for row, (_, of_parts), of_row in zip(parts, rows, of_rows, strict=True):
        for (place, components, graph), of_part in zip(row, of_parts, strict=True):
            node = np.where(of_part >= 0, np.append(of_row, -1)[of_part], -1)
            new = np.where(node >= 0, class_id[node], graph.graph.class_id)
            found[place] = components.relabelled(new)
    return found


@st.composite
def rasters(draw: st.DrawFn) -> tuple[np.ndarray, tuple[list[int], list[int]]]:
    shapes = array_shapes(min_dims=2, max_dims=2, max_side=9)
    labels = draw(arrays(np.uint8, shapes, elements=st.sampled_from([0, 1, 2, 255])))
    cuts = [
        sorted(draw(st.sets(st.integers(1, side - 1), max_size=4))) if side > 1 else []
        for side in labels.shape
    ]
    return labels, (cuts[0], cuts[1])


@settings(max_examples=100, deadline=None)
@given(rasters(), st.integers(1, 20), st.sets(st.integers(0, 2), max_size=1), st.booleans())
def test_whatever_the_parts_small_regions_go_where_the_rule_says(
    case: tuple[np.ndarray, tuple[list[int], list[int]]], least: int, keep: set[int], weigh: bool
) -> None:
    labels, cuts = case
    weights = np.ones(labels.shape, np.int64)
    if weigh:
        weights += np.arange(labels.shape[0])[:, None]
    found = by_graph(labels, weights, large(least, keep), cuts)
    np.testing.assert_array_equal(found, merged(labels, least, keep, weights))
