"""Panels, titles and legends as one picture."""

import numpy as np
import pytest

from geoseg.raster.picture import draw_picture

RED, GREEN = (255, 0, 0), (0, 255, 0)
PANEL = np.full((40, 400, 3), 9, np.uint8)


def pixels_of(color, picture):
    rows, cols = np.nonzero((np.asarray(picture) == color).all(axis=-1))
    return rows.min(), rows.max(), cols.min(), cols.max()


def test_panels_stand_side_by_side_ten_pixels_apart():
    other = np.full_like(PANEL, 30)
    picture = np.asarray(draw_picture([("a", PANEL), ("b", other)], [("road", RED)]))
    assert (picture[24:64, 10:410] == PANEL).all()
    assert (picture[24:64, 420:820] == other).all()
    assert picture.shape[1] == 830


def test_each_entry_has_its_colour_and_its_name_in_the_same_line():
    picture = draw_picture([("", PANEL)], [("road", RED), ("", GREEN)])
    for color, named in ((RED, True), (GREEN, False)):
        top, bottom, _, right = pixels_of(color, picture)
        beside = np.asarray(picture)[top:bottom, right + 5 : right + 60]
        assert (beside.min() < 100) == named


@pytest.mark.parametrize(
    ("names", "rows"), [(["a", "b"], 1), (["a", "b", "c"], 2), (["w" * 40], 1)]
)
def test_as_many_entries_stand_in_a_row_as_fit_with_their_names(names, rows):
    empty, drawn = (
        np.asarray(draw_picture([("", PANEL)], [(name if named else "", RED) for name in names]))
        for named in (False, True)
    )
    assert drawn.shape[0] == empty.shape[0] == 24 + 40 + 24 * (rows + 1)
    assert (drawn[:, [0, 1, -2, -1]] == 255).all(), "no name leaves the picture"


@pytest.mark.parametrize("title", ["$tree$", "x" * 300, "two\nlines", "no\udcfftext", "Dächer Ωд"])
def test_any_title_is_written_within_its_line(title):
    picture = np.asarray(draw_picture([(title, PANEL)], []))
    assert picture.shape == (24 + 40 + 24, 420, 3)
    assert picture[:24].min() < 100
    assert (picture[24:64, 10:410] == PANEL).all()
    assert (picture[:24, [0, 1, -2, -1]] == 255).all()


def test_nothing_of_a_long_title_reaches_the_next_panel():
    picture = np.asarray(draw_picture([("x" * 300, PANEL), ("", PANEL)], []))
    assert (picture[:24, 420:] == 255).all()
