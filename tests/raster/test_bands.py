import pytest

from geoseg.raster.bands import FileBand, example_bands, option, order_by_name, same_name

RGBA = [FileBand("", color) for color in ("red", "green", "blue", "alpha")]
NAMELESS = [FileBand("", color) for color in ("gray", "undefined", "undefined", "undefined")]
NAMED = [FileBand(text, "undefined") for text in ("Near Infrared", "R", "green")]


@pytest.mark.parametrize(
    ("name", "other"),
    [("NIR", "near-infrared"), ("Red", "r"), ("Gray", "grey"), ("Band 4", "band_4")],
)
def test_spellings_of_one_name_are_the_same(name, other):
    assert same_name(name) == same_name(other)


def test_descriptions_order_the_bands():
    assert order_by_name(("red", "green", "nir"), NAMED) == (2, 3, 1)


def test_colour_interpretation_orders_the_bands_where_there_are_no_descriptions():
    assert order_by_name(("blue", "red"), RGBA) == (3, 1)


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
    ],
)
def test_an_example_goes_by_names_then_by_the_usual_order_and_never_beyond_the_file(
    wanted, bands, expected
):
    assert example_bands(wanted, bands) == expected


def test_option_reads_as_one_types_it():
    assert option((4, 1, 2)) == "--bands 4,1,2"
