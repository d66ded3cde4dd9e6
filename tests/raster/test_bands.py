import pytest

from geoseg.raster.bands import (
    FileBand,
    bands_advice,
    bands_option,
    descriptions_contradict,
    named_bands,
    names_contradict,
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
        ("Near IR", "nir"),
        ("B02", "blue"),
        ("B03", "green"),
        ("B04", "red"),
        ("B08", "nir"),
        ("B4", "b4"),
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


@pytest.mark.parametrize("counted", ["Band 1", "band_1", "Layer_1", "channel1", "1", ""])
def test_colours_count_where_descriptions_only_count_the_bands(counted):
    bands = [FileBand(counted, "blue"), FileBand("red", "green"), FileBand("NIR", "undefined")]
    assert order_by_name(("nir", "red", "blue"), bands) == (3, 2, 1)
    assert order_by_name(("green",), bands) is None


def test_a_description_that_says_something_else_outweighs_the_colour():
    assert order_by_name(("red",), [FileBand("height", "red")]) is None


def test_a_counted_description_is_a_name_where_it_is_wanted():
    bands = [FileBand("Band 1", "red"), FileBand("Band 2", "green")]
    assert order_by_name(("band 2", "band 1"), bands) == (2, 1)


@pytest.mark.parametrize("color", ["alpha", "gray", "palette", "undefined"])
def test_some_interpretations_are_no_names(color):
    assert order_by_name((color,), [FileBand("", color)]) is None


@pytest.mark.parametrize(
    ("wanted", "bands", "by_description", "by_any_name"),
    [
        (("nir", "red", "green"), [FileBand(name, "") for name in ("r", "g", "b")], True, True),
        (("nir", "red", "green"), RGBA[:3], False, True),
        (("red", "green", "blue"), RGBA[:3], False, False),
        (("nir", "red"), [FileBand("Band 1", "red"), FileBand("", "green")], False, True),
        (("nir", "red"), [FileBand("NIR", "red"), FileBand("R", "green")], False, False),
        (("first", "second"), RGBA[:2], False, False),
        (("nir", "red"), [FileBand("height", ""), FileBand("slope", "")], False, False),
        (("height", "red"), [FileBand("red", ""), FileBand("slope", "")], False, False),
        (("height", "slope"), [FileBand("slope", ""), FileBand("height", "")], True, True),
        (("red", "green"), NAMELESS[:2], False, False),
    ],
)
def test_names_that_both_sides_know_contradict_at_another_place(
    wanted, bands, by_description, by_any_name
):
    assert descriptions_contradict(wanted, bands) == by_description
    assert names_contradict(wanted, bands) == by_any_name


def test_a_band_without_name_is_never_the_wanted_one():
    assert order_by_name(("",), [FileBand("", "undefined")]) is None
    assert order_by_name(("red", "undefined"), [FileBand("red", ""), FileBand("", "")]) is None


@pytest.mark.parametrize("bands", [NAMELESS, [FileBand("red", "red"), FileBand("red", "red")]])
def test_missing_or_doubled_names_order_nothing(bands):
    assert order_by_name(("red",), bands) is None


@pytest.mark.parametrize(
    ("wanted", "bands", "option", "words"),
    [
        (("nir", "red", "green"), NAMED, "nir,red,green", "by name"),
        (
            ("nir", "red", "green"),
            NAMELESS,
            "4,1,2",
            "if its first bands are red, green, blue, nir",
        ),
        (("blue", "green", "red"), NAMELESS, "3,2,1", "if its first bands are red, green, blue"),
        (("nir", "red"), NAMELESS[:3], "", "choose nir, red among 1..3 by number, in this order"),
        (("red", "green", "blue"), [FileBand("", "gray")], "", "it lacks bands"),
        (("a", "b", "c"), NAMELESS[:2], "", "it lacks bands"),
        (("b2", "b8"), NAMELESS, "", "choose b2, b8 among 1..4 by number, in this order"),
        (
            ("red", "green"),
            [FileBand(n, "undefined") for n in ("coastal", "blue", "green")],
            "",
            "choose red, green among 1..3 by number",
        ),
    ],
)
def test_advice_goes_by_names_then_by_the_usual_order_and_is_no_placeholder(
    wanted, bands, option, words
):
    given, advice = bands_advice(wanted, bands)
    assert given == option
    assert words in advice
    assert f"--bands {option}".strip() in advice or "lacks" in advice


@pytest.mark.parametrize(
    ("wanted", "typed"),
    [(("nir", "red"), "nir,red"), (("nir, far", "red"), "2,1"), (("4", "red"), "2,1")],
)
def test_bands_are_named_where_the_name_can_be_typed(wanted, typed):
    bands = [FileBand("red", "undefined"), FileBand(wanted[0], "undefined")]
    assert named_bands(wanted, bands) == typed


def test_option_reads_as_one_types_it():
    assert bands_option((4, 1, 2)) == "--bands 4,1,2"
