from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from geoseg.vector.arcs import find_arcs
from geoseg.vector.components import find_components
from geoseg.vector.lines import find_lines


@settings(max_examples=50, deadline=None)
@given(
    arrays(
        np.uint8,
        array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=14),
        elements=st.sampled_from([0, 1, 2, 255]),
    )
)
def test_each_pixel_side_between_two_regions_is_on_one_arc_with_both_beside_it(
    framed: np.ndarray,
) -> None:
    inner = np.ascontiguousarray(framed[1:-1, 1:-1])
    components = find_components(inner, None)
    arcs = find_arcs(find_lines(framed, components))
    regions = components.region_at(np.arange(framed.size)).reshape(framed.shape)

    expected = {}
    for row, col in np.argwhere(framed[:, 1:] != framed[:, :-1]):
        if 0 < row < framed.shape[0] - 1:
            place = (int(row) - 1, int(col), int(row), int(col))
            expected[place] = {regions[row, col], regions[row, col + 1]}
    for row, col in np.argwhere(framed[1:] != framed[:-1]):
        if 0 < col < framed.shape[1] - 1:
            place = (int(row), int(col) - 1, int(row), int(col))
            expected[place] = {regions[row, col], regions[row + 1, col]}

    found = {}
    for arc, (left, right) in enumerate(zip(arcs.left, arcs.right, strict=True)):
        stretch = slice(arcs.first[arc], arcs.first[arc + 1])
        points = np.column_stack([arcs.row[stretch], arcs.col[stretch]])
        for start, end in itertools.pairwise(points):
            steps = int(np.abs(end - start).sum())
            assert (start == end).sum() == 1, "a line leads along a row or a column"
            along = (start + np.outer(np.arange(steps + 1), np.sign(end - start))).tolist()
            for one, other in itertools.pairwise(along):
                place = tuple(min(one, other) + max(one, other))
                assert place not in found
                found[place] = {left, right}
    assert found == expected
