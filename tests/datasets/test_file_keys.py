from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.datasets.file_keys import (
    count_stars,
    files_by_stars,
    group_by_tile,
    is_eroded,
    is_raster,
    is_vector,
    list_files,
    root_of,
    tile_key,
    unseen,
)


def test_suffixes_say_what_a_file_is_in_any_case() -> None:
    names = ["a.tif", "a.TIFF", "a.jp2", "a.JPG", "a.gpkg", "a.SHP", "a.fgb", "a.txt", "a.tfw"]
    assert [is_raster(Path(name)) for name in names] == [True] * 4 + [False] * 5
    assert [is_vector(Path(name)) for name in names] == [False] * 4 + [True] * 3 + [False] * 2


@pytest.mark.parametrize(
    ("names", "tile"),
    [
        (
            (
                "top_potsdam_2_10_RGB_classes.tif",
                "top_potsdam_2_10_label.tif",
                "top_potsdam_2_10_label_noBoundary.tif",
            ),
            "top_potsdam_2_10",
        ),
        (
            ("top_mosaic_09cm_area1_classes.tif", "top_mosaic_09cm_area1_noBoundary.tif"),
            "top_mosaic_09cm_area1",
        ),
        (
            (
                "bonn_000000_000019_leftImg8bit_classes.tif",
                "bonn_000000_000019_gtFine_labelIds.png",
            ),
            "bonn_000000_000019",
        ),
        (("ec09_image_classes.tif", "ec09_label.tif", "ec09.tif", "EC09_mask.png"), "ec09"),
        (("label.tif",), "label"),
        (("_label.tif",), "_label"),
    ],
)
def test_a_tile_has_one_key_in_all_its_files(names: tuple[str, ...], tile: str) -> None:
    assert {tile_key(Path(name)) for name in names} == {tile}


@pytest.mark.parametrize(
    ("name", "eroded"), [("a_noBoundary.tif", True), ("a_no_boundary.tif", True), ("a.tif", False)]
)
def test_a_name_says_that_borders_are_eroded(name: str, eroded: bool) -> None:
    assert is_eroded(Path("noBoundary") / name) is eroded


def test_double_stars_are_one_star() -> None:
    assert [count_stars(text) for text in ("a", "*", "**/*_b.tif", "x/**")] == [0, 1, 2, 1]


def test_stars_match_whole_names_of_files_sorted_by_path(tmp_path: Path) -> None:
    for name in ("b.tif", "a.tif", "a.tiff", "x+y/c.tif", "d.tif/e"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list(files_by_stars(f"{tmp_path}/*.tif").items()) == [
        (("a",), tmp_path / "a.tif"),
        (("b",), tmp_path / "b.tif"),
    ]
    assert list(files_by_stars(f"{tmp_path}/x+y/*.tif")) == [("c",)]
    assert list(files_by_stars(f"{tmp_path}/**/*.tif")) == [("", "a"), ("", "b"), ("x+y/", "c")]
    assert list(files_by_stars(f"{tmp_path}/**.tif")) == [("a",), ("b",), ("x+y/c",)]


@given(st.lists(st.text("a[]?!-{}(+. ", min_size=1, max_size=6), min_size=1, max_size=4))
def test_only_stars_are_wild(names: list[str]) -> None:
    with TemporaryDirectory() as folder:
        for name in names:
            Path(folder, f"{name}_x.tif").touch()
        for name in names:
            path = Path(folder, f"{name}_x.tif")
            assert (name,) in files_by_stars(f"{folder}/*_x.tif")
            assert files_by_stars(f"{folder}/{name}_*.tif") == {("x",): path}
            assert files_by_stars(f"{folder}/{name}_x.tif*") == {("",): path}
            assert files_by_stars(f"{folder}/**/{name}_x.*") == {("", "tif"): path}


def test_files_are_grouped_by_their_place_below_what_is_given(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("n/1_label.tif", "s/1.png", "s/2_RGB.tif")]
    for root in (str(tmp_path), f"{tmp_path}/*/*.tif", f"{tmp_path}/**/*"):
        assert group_by_tile(files, root_of(root)) == {
            "n/1": [files[0]],
            "s/1": [files[1]],
            "s/2": [files[2]],
        }
    assert list(group_by_tile(files[1:], root_of(f"{tmp_path}/s/*.tif"))) == ["1", "2"]
    assert group_by_tile(files) == {"1": files[:2], "2": files[2:]}


def test_hidden_files_of_a_folder_are_not_listed(tmp_path: Path) -> None:
    for name in (".geoseg/x.tif", "a/.b.tif", "a/c.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list_files(str(tmp_path)) == [tmp_path / "a/c.tif"]
    assert list_files(str(tmp_path / "a/c.tif")) == [tmp_path / "a/c.tif"]
    assert list_files(str(tmp_path / "none")) == []


def test_what_cannot_be_looked_into_is_named_where_it_may_hold_what_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/images/1.tif", "b/images/2.tif", "b/other/3.tif", "c/images/4.tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a/images/gone.tif").symlink_to("nowhere")
    (tmp_path / "a/images/gone.txt").symlink_to("nowhere")
    scan = os.scandir

    def refuse(path: Path) -> object:
        if Path(path) in (tmp_path / "c/images", tmp_path / "b/other"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    pattern = f"{tmp_path}/*/images/*.tif"
    assert list(files_by_stars(pattern)) == [("a", "1"), ("b", "2")]
    assert {line.split(":")[0] for line in unseen(pattern, pattern)} == {
        f"{tmp_path}/a/images/gone.tif",
        f"{tmp_path}/c/images",
    }
    assert len(unseen(str(tmp_path))) == 4
    assert unseen(f"{tmp_path}/b/images", f"{tmp_path}/a/images/1.tif") == []


def test_linked_folders_are_searched_by_folders_and_patterns(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far/1.tif").touch()
    (tmp_path / "in").mkdir()
    (tmp_path / "in/linked").symlink_to("../far")
    linked = tmp_path / "in/linked/1.tif"
    assert list_files(str(tmp_path / "in")) == [linked]
    for pattern in ("*/*.tif", "**/*.tif", "linked/*"):
        assert list(files_by_stars(f"{tmp_path}/in/{pattern}").values()) == [linked]
