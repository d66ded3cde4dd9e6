import pytest

from geoseg.errors import TilingError
from geoseg.tiling import Window


@pytest.mark.parametrize("fields", [(-1, 0, 1, 1), (0, -1, 1, 1), (0, 0, 0, 1), (0, 0, 1, 0)])
def test_nonsense_is_refused_at_birth(fields):
    with pytest.raises(TilingError, match="starts must be 0 or more, sizes 1 or more"):
        Window(*fields)


def test_intersection_is_the_common_part_or_nothing():
    assert Window(0, 0, 10, 10).intersect(Window(6, 8, 10, 10)) == Window(6, 8, 4, 2)
    assert Window(6, 8, 10, 10).intersect(Window(0, 0, 10, 10)) == Window(6, 8, 4, 2)
    assert Window(0, 0, 10, 20).intersect(Window(2, 3, 4, 5)) == Window(2, 3, 4, 5)
    assert Window(0, 0, 10, 10).intersect(Window(10, 0, 5, 5)) is None
    assert Window(0, 0, 10, 10).intersect(Window(0, 10, 5, 5)) is None
    assert Window(9, 0, 5, 5).intersect(Window(0, 4, 10, 10)) == Window(9, 4, 1, 1)


def test_slices_count_from_the_given_corner():
    assert Window(12, 20, 3, 4).slices(10, 20) == (slice(2, 5), slice(0, 4))
    assert Window(12, 20, 3, 4).slices() == (slice(12, 15), slice(20, 24))


def test_the_smallest_window_is_a_pixel_at_the_corner():
    assert (Window(0, 0, 1, 1).row_end, Window(0, 3, 1, 2).col_end) == (1, 5)
