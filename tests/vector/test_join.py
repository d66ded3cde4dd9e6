from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from geoseg.errors import VectorError
from geoseg.tiling import Window
from geoseg.vector import (
    PartRegions,
    Regions,
    join_area,
    join_parts,
    polygonize,
    polygonize_part,
)
from geoseg.vector.join import _Joining

Cut = tuple[int, int, int, int]  # row, column, height, width
Facts = list[tuple[bytes, int, int, float]]


@st.composite
def cut_rasters(draw: st.DrawFn) -> tuple[np.ndarray, list[Cut]]:
    """Labels, and parts of any sizes that tile them, in any order."""
    shapes = array_shapes(min_dims=2, max_dims=2, max_side=12)
    labels = draw(arrays(np.uint8, shapes, elements=st.sampled_from([0, 1, 254, 255])))

    def cut(row: int, col: int, height: int, width: int) -> list[Cut]:
        along = draw(st.sampled_from(["rows", "cols", "none"]))
        if along == "rows" and height > 1:
            upper = draw(st.integers(1, height - 1))
            return cut(row, col, upper, width) + cut(row + upper, col, height - upper, width)
        if along == "cols" and width > 1:
            left = draw(st.integers(1, width - 1))
            return cut(row, col, height, left) + cut(row, col + left, height, width - left)
        return [(row, col, height, width)]

    return labels, draw(st.permutations(cut(0, 0, *labels.shape)))


def grid(shape: tuple[int, int], height: int, width: int) -> list[Cut]:
    return [
        (row, col, min(height, shape[0] - row), min(width, shape[1] - col))
        for row in range(0, shape[0], height)
        for col in range(0, shape[1], width)
    ]


def parts_of(
    labels: np.ndarray, confidence: np.ndarray | None, cuts: list[Cut]
) -> list[PartRegions]:
    return [
        polygonize_part(
            labels[row : row + height, col : col + width],
            None if confidence is None else confidence[row : row + height, col : col + width],
            row,
            col,
        )
        for row, col, height, width in cuts
    ]


def joined(parts: list[PartRegions], shape: tuple[int, int]) -> Facts:
    return facts(join_parts(parts, *shape))


def facts(batches: Iterable[Regions]) -> Facts:
    return sorted(
        (shapely.to_wkb(geometry), int(class_id), int(pixels), float(confidence))
        for regions in batches
        for geometry, class_id, pixels, confidence in zip(
            regions.geometry, regions.class_id, regions.pixels, regions.confidence, strict=True
        )
    )


def whole(labels: np.ndarray, confidence: np.ndarray) -> Facts:
    polygons = polygonize(labels, Affine.identity(), confidence=confidence)
    return sorted(
        (shapely.to_wkb(each.geometry), each.class_id, each.pixels, float(each.confidence or 0.0))
        for each in polygons
    )


@settings(max_examples=200, deadline=None)
@given(cut_rasters())
def test_parts_give_the_polygons_of_the_whole_bit_for_bit(
    case: tuple[np.ndarray, list[Cut]],
) -> None:
    labels, cuts = case
    confidence = (np.arange(labels.size) * 37 % 256).astype(np.uint8).reshape(labels.shape)
    assert joined(parts_of(labels, confidence, cuts), labels.shape) == whole(labels, confidence)


@settings(max_examples=2 * settings().max_examples, deadline=None)
@given(st.data())
def test_areas_joined_as_a_tree_of_any_shape_give_the_same(data: st.DataObject) -> None:
    shapes = array_shapes(min_dims=2, max_dims=2, max_side=12)
    labels = data.draw(arrays(np.uint8, shapes, elements=st.sampled_from([0, 1, 254, 255])))
    confidence = (np.arange(labels.size) * 37 % 256).astype(np.uint8).reshape(labels.shape)
    closed: list[Regions] = []

    def join(area: Window) -> PartRegions:
        along = data.draw(st.sampled_from(["rows", "cols", "none"]))
        if along == "rows" and area.height > 1:
            cut = data.draw(st.integers(1, area.height - 1))
            areas = [
                Window(area.row, area.col, cut, area.width),
                Window(area.row + cut, area.col, area.height - cut, area.width),
            ]
        elif along == "cols" and area.width > 1:
            cut = data.draw(st.integers(1, area.width - 1))
            areas = [
                Window(area.row, area.col, area.height, cut),
                Window(area.row, area.col + cut, area.height, area.width - cut),
            ]
        else:
            (part,) = parts_of(labels, confidence, [(area.row, area.col, area.height, area.width)])
            return part
        return join_all(list(map(join, areas)), area)

    def join_all(parts: list[PartRegions], area: Window) -> PartRegions:
        rests: list[PartRegions] = []

        def joined() -> Iterator[Regions]:
            rests.append((yield from join_area(parts, area, *labels.shape)))

        closed.extend(joined())
        assert not len(rests[0].whole)
        return rests[0]

    raster = Window(0, 0, *labels.shape)
    rest = join_all([join(raster)], raster)
    assert not rest.class_id.size
    assert facts(closed) == whole(labels, confidence)


@pytest.mark.parametrize(
    "cuts",
    [[(2, 2, 2, 3)], [(2, 2, 4, 2), (2, 4, 3, 2)], [(2, 2, 2, 4), (2, 2, 2, 4)], []],
    ids=["gap below", "gap in a corner", "twice", "no part"],
)
def test_parts_that_do_not_tile_an_area_are_refused(cuts: list[Cut]) -> None:
    parts = parts_of(np.zeros((9, 9), np.uint8), None, cuts)
    with pytest.raises(
        VectorError, match=r"do not tile 4 x 4 at row 2, column 2 of the raster of 9 x 9; give"
    ):
        list(join_area(parts, Window(2, 2, 4, 4), 9, 9))


@pytest.mark.parametrize("cut", [(1, 2, 4, 4), (2, 1, 4, 4), (2, 2, 5, 4), (2, 2, 4, 5)])
def test_a_part_beyond_an_area_is_refused(cut: Cut) -> None:
    parts = parts_of(np.zeros((9, 9), np.uint8), None, [cut])
    with pytest.raises(VectorError, match=r"reaches beyond 4 x 4 at row 2, column 2 of the raster"):
        list(join_area(parts, Window(2, 2, 4, 4), 9, 9))


def test_the_corner_cases_survive_cutting_into_single_pixels(drawn: np.ndarray) -> None:
    parts = parts_of(drawn, drawn, grid(drawn.shape, 1, 1))
    assert joined(parts, drawn.shape) == whole(drawn, drawn)


@pytest.mark.parametrize(("height", "width"), [(7, 200), (200, 9), (16, 16), (50, 33)])
def test_bands_strips_and_tiles_give_the_same(
    height: int, width: int, make_blobs: Callable[..., tuple[np.ndarray, np.ndarray]]
) -> None:
    labels, confidence = make_blobs(120, 140)
    assert joined(
        parts_of(labels, confidence, grid(labels.shape, height, width)), labels.shape
    ) == whole(labels, confidence)


def test_a_region_of_hundreds_of_pieces_becomes_one_polygon() -> None:
    streets = np.ones((120, 120), np.uint8)
    streets[::6] = streets[:, ::6] = 0
    parts = parts_of(streets, streets, grid(streets.shape, 5, 5))
    assert joined(parts, streets.shape) == whole(streets, streets)


def test_pieces_travel_between_processes(
    make_blobs: Callable[..., tuple[np.ndarray, np.ndarray]],
) -> None:
    labels, confidence = make_blobs(40, 40)
    parts = pickle.loads(pickle.dumps(parts_of(labels, confidence, grid(labels.shape, 16, 16))))
    assert joined(parts, labels.shape) == whole(labels, confidence)


def test_without_confidence_there_is_none() -> None:
    labels = np.zeros((4, 4), np.uint8)
    (regions,) = join_parts(parts_of(labels, None, grid((4, 4), 2, 2)), 4, 4)
    assert regions.confidence_sum is None
    assert np.isnan(regions.confidence).all()


def test_regions_come_out_as_soon_as_they_are_closed() -> None:
    labels = np.repeat(np.arange(8, dtype=np.uint8), 2)[:, None].repeat(6, axis=1)
    parts = iter(parts_of(labels, None, grid(labels.shape, 4, 6)))
    taken: list[int] = []

    def counted() -> Iterator[PartRegions]:
        for part in parts:
            taken.append(part.row)
            yield part

    first = next(join_parts(counted(), *labels.shape))
    assert first.class_id.tolist() == [0]
    assert taken == [0]


def test_memory_holds_the_open_regions_alone(
    make_blobs: Callable[..., tuple[np.ndarray, np.ndarray]],
) -> None:
    labels, confidence = make_blobs(400, 60)
    joining = _Joining(Window(0, 0, *labels.shape), *labels.shape)
    held = []
    for part in parts_of(labels, confidence, grid(labels.shape, 20, 30)):
        joining.add(part)
        held.append(len(joining._open))
    assert max(held) < 60  # pixels along the front; there are more than a thousand pieces in all
    assert not joining._open
    assert not any(joining._sides.values())


@pytest.mark.parametrize(
    "cuts",
    [
        [(0, 0, 2, 4)],
        [(0, 0, 4, 2), (0, 2, 2, 2)],
        [(0, 0, 4, 4), (0, 0, 4, 4)],
        [(0, 0, 2, 4), (0, 0, 2, 4)],
        [],
    ],
    ids=["gap below", "gap in a corner", "twice", "overlap and gap", "no part"],
)
def test_parts_that_do_not_tile_the_raster_are_refused(cuts: list[Cut]) -> None:
    with pytest.raises(
        VectorError, match=r"do not tile the raster of 4 x 4; give parts that cover it once"
    ):
        list(join_parts(parts_of(np.zeros((4, 4), np.uint8), None, cuts), 4, 4))


def test_a_part_beyond_the_raster_is_refused() -> None:
    part = polygonize_part(np.zeros((2, 3), np.uint8), None, 1, 0)
    with pytest.raises(
        VectorError, match=r"2 x 3 at row 1, column 0 reaches beyond the raster of 2 x 3"
    ):
        list(join_parts([part], 2, 3))


def test_a_part_before_the_raster_is_refused() -> None:
    with pytest.raises(VectorError, match=r"2 x 3 pixels at row -1, column 0; a part holds pixels"):
        polygonize_part(np.zeros((2, 3), np.uint8), None, -1, 0)
