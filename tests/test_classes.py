import re
from pathlib import Path

import numpy as np
import pytest

from geoseg.classes import ClassScheme
from geoseg.errors import ConfigError
from geoseg.yaml_files import read_classes


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
            "class 0: id: '9-3' is no whole number, no range as 128-255, and no list of",
        ),
        ([{"id": "0-99999", "name": "a"}], "'0-99999' is no whole number, no range"),
        (
            [{"id": [], "name": "a"}],
            "class 0: id: [] names no value; give a whole number, a range as 128-255, or a",
        ),
        (
            [{"id": 255, "name": "a"}],
            "label value 255 means class 'a' and is ignored; give it one meaning (where noth",
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
        ([{"name": "a", "id": True}], "class 0: id: True is no whole number"),
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
    with pytest.raises(ConfigError, match=re.escape(f"{path}: ")) as told:
        read_classes(str(path))
    assert len(str(told.value).splitlines()) == 1
