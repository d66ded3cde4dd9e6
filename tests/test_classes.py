import colorsys
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geoseg.classes import CITYSCAPES, ISPRS, SCHEMES, ClassScheme, default_colors
from geoseg.datasets.class_files import read_classes
from geoseg.errors import ConfigError


def test_colours_may_come_as_an_array() -> None:
    assert ClassScheme.from_names(["a", "b"], np.array([[1, 2, 3], [4, 5, 6]])).colors == (
        (1, 2, 3),
        (4, 5, 6),
    )


def test_a_class_may_have_values_and_ranges_of_values() -> None:
    document = {
        "classes": [{"id": "0-127", "name": "other"}, {"id": [128, "130-255"], "name": "road"}],
        "ignore": 129,
    }
    ids, unknown = ClassScheme.parse(document).ids_from_values(
        np.array([0, 127, 128, 129, 130, 255, 256])
    )
    assert ids.tolist() == [0, 0, 1, 255, 1, 1, 255]
    assert unknown == {256: 1}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            [{"id": "9-3", "name": "a"}],
            "class 0: id: '9-3' is not a whole number, a range such as 128-255, or a list of",
        ),
        ([{"id": "0-99999", "name": "a"}], "'0-99999' is not a whole number, a range"),
        (
            [{"id": [], "name": "a"}],
            "class 0: id: [] names no value; give a whole number, a range such as 128-255, or a",
        ),
        (
            [{"id": 255, "name": "a"}],
            "label value 255 means class 'a' and is ignored; give it one meaning (without",
        ),
        (
            [{"id": 3, "name": "a"}, {"id": "1-5", "name": "b"}],
            "label value 3 means both 'a' and 'b'; give it one cla",
        ),
        (
            [{"id": 3, "nam": "a"}],
            "class 0: {'id': 3, 'nam': 'a'} is neither a name nor {id, name, color}",
        ),
        ([{"name": "a", "color": 7}], "class 0: color: 7 is not three whole numbers in 0..255"),
        (
            [{"name": "a", "color": "red"}],
            "class 0: color: 'red' is not three whole numbers in 0..255",
        ),
        (
            [{"name": "a", "color": [1.7, 0, 0]}],
            "class 0: color: [1.7, 0, 0] is not three whole numbers in 0..255",
        ),
        (
            [{"name": "a", "color": [1, 0]}],
            "class 0: color: [1, 0] is not three whole numbers in 0..255",
        ),
        ([{"name": "a", "id": True}], "class 0: id: True is not a whole number"),
        ({"class": []}, "a classes file needs a list under 'classes'"),
    ],
)
def test_a_wrong_classes_file_is_refused_in_one_line_with_its_name(
    document: object, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        ClassScheme.parse(document)
    path = tmp_path / "classes.yaml"
    path.write_text(repr(document))
    with pytest.raises(ConfigError, match=re.escape(f"{path}: ")) as error:
        read_classes(str(path))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ()}, "0 classes given; a class raster holds 1 to 254 (254 and 255 are codes)"),
        ({"names": tuple(map(str, range(255)))}, "255 classes given; a class raster holds 1 to"),
        ({"colors": ((0, 0, 0),)}, "2 class names, 1 colours, 2 values; give one of each for"),
        ({"values": ((0,), (1,), (2,))}, "2 class names, 2 colours, 3 values; give one of each"),
        ({"names": ("b", "b")}, "class name 'b' is given twice; names must differ"),
        ({"colors": ((0, 0, 0), (0, 0, 256))}, "colour (0, 0, 256) is not three numbers in 0..255"),
        ({"colors": ((0, -1, 0), (0, 0, 0))}, "colour (0, -1, 0) is not three numbers in 0..255"),
        ({"colors": ((0, 0), (0, 0, 0))}, "colour (0, 0) is not three numbers in 0..255"),
        ({"values": ((0,), (1, 0))}, "label value 0 means both 'a' and 'b'; give it one class"),
        ({"ignore": (1,)}, "label value 1 means class 'b' and is ignored; give it one meaning"),
    ],
)
def test_a_scheme_that_contradicts_itself_is_refused(change: dict, message: str) -> None:
    facts = {"names": ("a", "b"), "colors": ((0, 0, 0), (255, 0, 9)), "values": ((0,), (1,))}
    assert len(ClassScheme(**facts)) == 2
    with pytest.raises(ConfigError, match=re.escape(message)):
        ClassScheme(**{**facts, **change})


def test_as_many_classes_as_a_raster_holds_make_a_scheme() -> None:
    scheme = ClassScheme.from_names([str(index) for index in range(254)])
    assert scheme.values == tuple((index,) for index in range(254))
    assert scheme.ignore == (255,)
    assert ClassScheme.from_names(["only"]).colors == default_colors(1)


def test_colours_are_distinct_and_of_alternating_brightness() -> None:
    colors = default_colors(254)
    assert len(set(colors)) == 254
    hsv = [colorsys.rgb_to_hsv(*(part / 255 for part in color)) for color in colors]
    assert [value for _, _, value in hsv] == pytest.approx([0.95, 0.65] * 127, abs=0.01)
    assert all(saturation == pytest.approx(0.65, abs=0.02) for _, saturation, _ in hsv)
    golden_ratio = (1 + 5**0.5) / 2
    turns = [(b[0] - a[0]) % 1 for a, b in pairwise(hsv)]
    assert turns == pytest.approx([2 - golden_ratio] * 253, abs=0.01)
    assert default_colors(3) == colors[:3]


def test_a_classes_file_names_colours_and_values() -> None:
    entries = ["a", {"name": "b"}, {"name": 3, "id": 9, "color": [1, 2, 3]}]
    scheme = ClassScheme.parse(entries)
    assert scheme.names == ("a", "b", "3")
    assert scheme.colors == (*default_colors(3)[:2], (1, 2, 3))
    assert scheme.values == ((0,), (1,), (9,))
    assert scheme.ignore == (255,)
    assert ClassScheme.parse({"classes": entries, "ignore": ["4-6", -1]}).ignore == (4, 5, 6, -1)
    assert ClassScheme.parse([{"id": "65530-65535", "name": "a"}]).values[0][-1] == 65535


def test_an_empty_list_ignores_nothing_so_that_a_class_may_have_255() -> None:
    entries = ["a", {"name": "b", "id": 255}]
    scheme = ClassScheme.parse({"classes": entries, "ignore": []})
    ids, unknown = scheme.ids_from_values(np.array([[0, 255, 7]], np.uint8))
    assert (scheme.ignore, ids.tolist(), unknown) == ((), [[0, 1, 255]], {7: 1})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"classes": ["a"], "ignor": 3}, "unknown key 'ignor'; known are 'classes' and 'ignore'"),
        ([{"name": "a", "colour": 3}], "class 0: unknown key 'colour'; known are id, name and"),
        (["a", 5], "class 1: 5 is neither a name nor {id, name, color}"),
        ({"classes": ["a"], "ignore": "x"}, "ignore: 'x' is not a whole number"),
        ([{"id": "65535-65536", "name": "a"}], "'65535-65536' is not a whole number, a range"),
    ],
)
def test_what_a_classes_file_does_not_know_is_named(document: object, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        ClassScheme.parse(document)


SCHEME = ClassScheme(("a", "b"), ((1, 2, 3), (200, 2, 3)), ((0, 7), (3,)), ignore=(5, 255))


@given(
    arrays(np.int16, st.tuples(st.integers(0, 4), st.integers(0, 4)), elements=st.integers(-1, 9))
)
def test_ids_of_values_are_those_of_a_look_at_each_pixel(labels: np.ndarray) -> None:
    ids, unknown = SCHEME.ids_from_values(labels)
    assert ids.dtype == np.uint8
    assert ids.shape == labels.shape
    meaning = {0: 0, 7: 0, 3: 1}
    assert ids.ravel().tolist() == [meaning.get(value, 255) for value in labels.ravel().tolist()]
    others = [value for value in labels.ravel().tolist() if value not in (*meaning, 5, 255)]
    assert unknown == {value: others.count(value) for value in others}


def test_colours_of_ids_are_the_classes_colours_and_black_for_codes() -> None:
    ids = np.array([[0, 1, 254], [255, 1, 0]], np.uint8)
    rgb = SCHEME.colors_from_ids(ids)
    assert rgb.shape == (3, 2, 3)
    assert rgb[:, 0].T.tolist() == [[1, 2, 3], [200, 2, 3], [0, 0, 0]]
    assert rgb[:, 1].T.tolist() == [[0, 0, 0], [200, 2, 3], [1, 2, 3]]


def test_the_isprs_scheme_has_the_contests_order_and_colours() -> None:
    assert SCHEMES == {"isprs": ISPRS, "cityscapes": CITYSCAPES}
    assert dict(zip(ISPRS.names, ISPRS.colors, strict=True)) == {
        "impervious surfaces": (255, 255, 255),
        "building": (0, 0, 255),
        "low vegetation": (0, 255, 255),
        "tree": (0, 255, 0),
        "car": (255, 255, 0),
        "clutter": (255, 0, 0),
    }
    assert ISPRS.values == ((0,), (1,), (2,), (3,), (4,), (5,))


def test_cityscapes_knows_all_label_ids() -> None:
    ids = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    assert CITYSCAPES.values == tuple((value,) for value in ids)
    found, unknown = CITYSCAPES.ids_from_values(np.array([-1, *range(34), 255]))
    assert unknown == {}
    assert [value for value in found.tolist() if value != 255] == list(range(19))
    assert " ".join(bytes(color).hex() for color in CITYSCAPES.colors) == (
        "804080 f423e8 464646 66669c be9999 999999 faaa1e dcdc00 6b8e23 98fb98 "
        "4682b4 dc143c ff0000 00008e 000046 003c64 005064 0000e6 770b20"
    )
    assert CITYSCAPES.names[10:14] == ("sky", "person", "rider", "car")
