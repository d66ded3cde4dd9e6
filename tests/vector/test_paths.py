from __future__ import annotations

from pathlib import Path

import pytest

from geoseg.vector.paths import files_of, path_to_read, path_to_write

SIGNS = ["a!b", "a;b", "a\tb", "a\nb", "a\\b", "!", ";"]


@pytest.mark.parametrize("name", ["a", "a b", "a|b", "a<b", 'a"b', "ä", "a[1]", "a.b", "a%20"])
def test_most_files_keep_their_names(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.shp"
    with path_to_read(path) as read, path_to_write(path) as written:
        assert read == written == path


@pytest.mark.parametrize("name", SIGNS)
def test_others_are_read_and_written_under_plain_names(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.shp"
    with path_to_write(path) as plain:
        plain.write_text("shapes")
        plain.with_suffix(".dbf").write_text("rows")
        assert not {*"!;\t\n\\"} & {*str(plain)}
    assert sorted(tmp_path.iterdir()) == files_of(path) == [path.with_suffix(".dbf"), path]
    with path_to_read(path) as plain:
        assert not {*"!;\t\n\\"} & {*str(plain)}
        texts = [plain.read_text(), plain.with_suffix(".dbf").read_text()]
    assert texts == ["shapes", "rows"]
    assert not plain.exists()


def test_a_failed_writing_leaves_the_final_name_free(tmp_path: Path) -> None:
    path = tmp_path / "a!b.shp"
    with pytest.raises(FileNotFoundError), path_to_write(path) as plain:
        (plain.parent / "missing" / plain.name).write_text("shapes")
    assert not path.exists()


def test_the_files_of_one_are_those_of_its_stem(tmp_path: Path) -> None:
    for name in ("a[1].shp", "a[1].dbf", "a1.shp", "a[1]x.shp"):
        (tmp_path / name).touch()
    found = files_of(tmp_path / "a[1].shp")
    assert [path.name for path in found] == ["a[1].dbf", "a[1].shp"]
