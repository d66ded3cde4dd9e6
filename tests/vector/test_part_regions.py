from __future__ import annotations

import numpy as np
import pytest
import shapely

from geoseg.errors import VectorError
from geoseg.vector import PartRegions, polygonize_part

#     a a b b      a: touches the top and the left side; b: the top and the right one;
#     a c c b      c: the only region that is whole; d: the bottom.
#     a c c #
#     d d d #
LABELS = np.array([[0, 0, 1, 1], [0, 2, 2, 1], [0, 2, 2, 255], [3, 3, 3, 255]], np.uint8)
CONFIDENCE = np.arange(16, dtype=np.uint8).reshape(4, 4)


@pytest.fixture
def part() -> PartRegions:
    return polygonize_part(LABELS, CONFIDENCE, 10, 20)


def test_a_region_that_touches_no_side_is_whole_and_outlined_in_the_rasters_coordinates(
    part: PartRegions,
) -> None:
    (region,) = part.whole.geometry
    assert region.equals(shapely.box(21, 11, 23, 13))
    assert (part.whole.class_id.tolist(), part.whole.pixels.tolist()) == ([2], [4])
    assert part.whole.confidence_sum is not None
    assert part.whole.confidence_sum.tolist() == [5 + 6 + 9 + 10]


def test_the_others_are_pieces_with_what_they_hold(part: PartRegions) -> None:
    assert (part.row, part.col, part.height, part.width) == (10, 20, 4, 4)
    assert part.class_id.tolist() == [0, 1, 3]
    assert part.pixels.tolist() == [4, 3, 3]
    assert part.confidence_sum is not None
    assert part.confidence_sum.tolist() == [0 + 1 + 4 + 8, 2 + 3 + 7, 12 + 13 + 14]


def test_each_side_knows_its_pieces_and_classes(part: PartRegions) -> None:
    sides = (part.top, part.bottom, part.left, part.right)
    assert [side.piece.tolist() for side in sides] == [
        [0, 0, 1, 1],
        [2, 2, 2, -1],
        [0, 0, 0, 2],
        [1, 1, -1, -1],
    ]
    assert [side.class_id.tolist() for side in sides] == [
        [0, 0, 1, 1],
        [3, 3, 3, 255],
        [0, 0, 0, 3],
        [1, 1, 255, 255],
    ]


def test_corners_of_pieces_are_numbered_by_piece_in_the_rasters_coordinates(
    part: PartRegions,
) -> None:
    corners = part.borders
    found = {
        number: {
            (int(row), int(col))
            for row, col in zip(
                corners.row[corners.region == number],
                corners.col[corners.region == number],
                strict=True,
            )
        }
        for number in np.unique(corners.region).tolist()
    }
    assert found == {
        0: {(10, 20), (10, 22), (11, 22), (11, 21), (13, 21), (13, 20)},
        1: {(10, 22), (10, 24), (12, 24), (12, 23), (11, 23), (11, 22)},
        2: {(13, 20), (13, 23), (14, 23), (14, 20)},
    }


def test_a_stretch_of_a_side_keeps_pieces_and_classes(part: PartRegions) -> None:
    side = part.bottom.cut(1, 4)
    assert (side.piece.tolist(), side.class_id.tolist()) == ([2, 2, -1], [3, 3, 255])


def test_without_confidence_there_is_none() -> None:
    part = polygonize_part(LABELS, None, 0, 0)
    assert part.confidence_sum is None
    assert part.whole.confidence_sum is None


@pytest.mark.parametrize(
    ("row", "col", "shape"), [(-1, 0, (2, 3)), (0, -1, (2, 3)), (0, 0, (0, 3)), (0, 0, (2, 0))]
)
def test_a_part_that_lies_nowhere_is_refused(row: int, col: int, shape: tuple[int, int]) -> None:
    with pytest.raises(VectorError, match=r"a part holds pixels and lies inside its raster"):
        polygonize_part(np.zeros(shape, np.uint8), None, row, col)


def test_a_part_of_one_pixel_at_the_origin_is_a_part() -> None:
    part = polygonize_part(np.zeros((1, 1), np.uint8), None, 0, 0)
    assert part.pixels.tolist() == [1]
    assert [side.piece.tolist() for side in (part.top, part.bottom, part.left, part.right)] == [
        [0]
    ] * 4


def test_regions_are_outlined_alike_however_many_corners_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels = np.random.default_rng(0).integers(0, 3, (40, 50), np.uint8)
    once = polygonize_part(labels, None, 0, 0).whole.geometry
    monkeypatch.setattr("geoseg.vector.part_regions._AT_ONCE", 50)
    several = polygonize_part(labels, None, 0, 0).whole.geometry
    assert len(once) > 100
    assert shapely.equals_exact(once, several).all()
