"""Lists of paths: what stands in them, beside which folder, and what is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from geoseg.errors import ConfigError
from geoseg.raster.discovery import find_sources
from geoseg.raster.path_list import expand_lists, is_path_list, read_path_list

Make = Callable[..., Path]


def test_paths_count_from_the_lists_folder_whatever_ends_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeffa.tif\r\n\n  sub/ö b.tif \n/c.tif\n".encode())
    expected = [tmp_path / "a.tif", tmp_path / "sub/ö b.tif", Path("/c.tif")]
    assert read_path_list(path) == expected
    assert expand_lists([Path("x.tif"), path]) == [Path("x.tif"), *expected]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not a list of files; give one path a line"),
        (b"\n \n", "is not a list of files"),
        (b"a\0b", "is not a list of files"),
        (b"\xff\xfe", "is not UTF-8 text; give a list with one path a line"),
    ],
)
def test_what_is_no_list_is_refused_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"^{path}: {said}") as caught:
        read_path_list(path)
    assert "\n" not in str(caught.value)
    assert find_sources([path]).failures == {path: str(caught.value)}


def test_a_raster_called_txt_is_a_raster(make_raster: Make, tmp_path: Path) -> None:
    path = make_raster("a.txt")
    assert not is_path_list(path)
    assert not is_path_list(tmp_path / "missing.txt")
    assert [source.path for source in find_sources([path]).sources] == [path]


def test_sources_of_a_list_keep_their_folders_below_it(make_raster: Make, tmp_path: Path) -> None:
    for name in ("in/a.tif", "in/sub/a.tif", "in/tiles/deep/b.tif", "other/c.tif"):
        make_raster(name)
    path = tmp_path / "in/list.txt"
    path.write_text("a.tif\nsub/a.tif\ntiles\n../other/c.tif\nmissing.tif\na.tif\n")
    found = find_sources([path])
    assert [
        (str(s.path.resolve().relative_to(tmp_path)), str(s.relative)) for s in found.sources
    ] == [
        ("in/a.tif", "a"),
        ("in/sub/a.tif", "sub/a"),
        ("in/tiles/deep/b.tif", "tiles/deep/b"),
        ("other/c.tif", "c"),
        ("in/missing.tif", "missing"),  # opening it reports what is wrong
    ]
    assert found.failures == {}
