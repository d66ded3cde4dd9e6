import pytest

from geoseg.raster.bands import (
    FileBand,
    bands_option,
    example_bands,
    names_of,
    order_by_name,
    same_name,
)

RGBA = [FileBand("", color) for color in ("red", "green", "blue", "alpha")]
NAMELESS = [FileBand("", color) for color in ("gray", "undefined", "undefined", "undefined")]
NAMED = [FileBand(text, "undefined") for text in ("Near Infrared", "R", "green")]


@pytest.mark.parametrize(
    ("name", "other"),
    [("NIR", "near-infrared"), ("Red", "r"), ("Gray", "grey"), ("Band 4", "band_4")],
)
def test_spellings_of_one_name_are_the_same(name, other):
    assert same_name(name) == same_name(other)


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("R", "red"),
        ("g", "green"),
        ("B", "blue"),
        ("n", "nir"),
        ("IR", "nir"),
        ("infrared", "nir"),
        ("gray", "grey"),
        ("undefined", ""),
    ],
)
def test_short_and_foreign_names_mean_the_usual_ones(name, meaning):
    assert same_name(name) == meaning


def test_bands_are_listed_by_description_or_colour():
    assert names_of([*NAMED[:1], *RGBA[:2]]) == "Near Infrared, red, green"


def test_descriptions_order_the_bands():
    assert order_by_name(("red", "green", "nir"), NAMED) == (2, 3, 1)


def test_colour_interpretation_orders_the_bands_where_there_are_no_descriptions():
    assert order_by_name(("blue", "red"), RGBA) == (3, 1)


def test_a_band_without_name_is_never_the_wanted_one():
    assert order_by_name(("",), [FileBand("", "undefined")]) is None
    assert order_by_name(("red", "undefined"), [FileBand("red", ""), FileBand("", "")]) is None


@pytest.mark.parametrize("bands", [NAMELESS, [FileBand("red", "red"), FileBand("red", "red")]])
def test_missing_or_doubled_names_order_nothing(bands):
    assert order_by_name(("red",), bands) is None


@pytest.mark.parametrize(
    ("wanted", "bands", "expected"),
    [
        (("nir", "red", "green"), NAMED, (1, 2, 3)),
        (("nir", "red", "green"), NAMELESS, (4, 1, 2)),
        (("nir", "red", "green"), NAMELESS[:3], (1, 2, 3)),
        (("red", "green", "blue"), [FileBand("", "gray")], (1, 1, 1)),
        (("b2", "b8"), NAMELESS, (1, 2)),
        (("blue", "green", "red"), NAMELESS, (3, 2, 1)),
        (("nir", "red", "green", "blue"), NAMELESS, (4, 1, 2, 3)),
        (("nir", "red", "x"), NAMELESS, (1, 2, 3)),
        (("a", "b", "c"), NAMELESS[:2], (1, 2, 2)),
    ],
)
def test_an_example_goes_by_names_then_by_the_usual_order_and_never_beyond_the_file(
    wanted, bands, expected
):
    assert example_bands(wanted, bands) == expected


def test_option_reads_as_one_types_it():
    assert bands_option((4, 1, 2)) == "--bands 4,1,2"
