from pathlib import Path

import pytest

from geoseg.styles import leave_foreign, own_styles, write_style


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "built").mkdir()
    return tmp_path / "a.b.tif"


def test_a_style_of_geosegs_is_known_until_somebody_saves_another_over_it(file: Path) -> None:
    assert own_styles(file) == []
    write_style(file, ".sld", "<x/>")
    write_style(file, ".qml", "<qgis/>")
    qml, sld = file.with_name("a.b.qml"), file.with_name("a.b.sld")
    assert own_styles(file) == [qml, sld]
    qml.write_text("<qgis/>")
    assert own_styles(file) == [sld]


def test_what_was_built_gives_way_to_somebodys_own_style_alone(file: Path) -> None:
    built = file.parent / "built" / file.name
    for suffix in (".qml", ".sld"):
        write_style(built, suffix, "<new/>")
    write_style(file, ".qml", "<old/>")
    file.with_suffix(".sld").write_text("<mine/>")
    leave_foreign(built, file)
    assert [path.name for path in built.parent.iterdir()] == ["a.b.qml"]
