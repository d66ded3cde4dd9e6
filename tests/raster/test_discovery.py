import os
from pathlib import Path

import pytest
import rasterio

from geoseg.errors import ConfigError, SourceError
from geoseg.raster import discovery, find_sources, open_raster


def names(found):
    return [(source.path.name, source.relative.as_posix()) for source in found.sources]


def test_folders_are_searched_in_order_and_keep_relative_paths(tmp_path, make_raster):
    for name in ("z.TIF", "b/c/x.tiff", "b/a.tif"):
        make_raster(name)
    for name in ("notes.txt", "a.tif.aux.xml", "z.ovr"):
        (tmp_path / name).write_text("")
    assert names(find_sources([tmp_path])) == [
        ("z.TIF", "z"),
        ("a.tif", "b/a"),
        ("x.tiff", "b/c/x"),
    ]


def test_a_file_keeps_its_stem_alone_whatever_its_suffix(tmp_path, make_raster):
    assert names(find_sources([make_raster("deep/er/scene.img.dat")])) == [
        ("scene.img.dat", "scene.img")
    ]


def test_hidden_files_and_folders_are_left_out(tmp_path, make_raster):
    for name in ("a.tif", ".geoseg/scene-0123/part.tif", ".hidden.tif", "b/.c/d.tif"):
        make_raster(name)
    assert names(find_sources([tmp_path])) == [("a.tif", "a")]


def test_own_outputs_are_known_by_their_tag_not_their_name(tmp_path, make_raster):
    make_raster("scene_classes.tif")
    with rasterio.open(make_raster("scene.tif"), "r+") as file:
        file.update_tags(GEOSEG_FINGERPRINT="abc")
    assert names(find_sources([tmp_path])) == [("scene_classes.tif", "scene_classes")]
    assert names(find_sources([tmp_path / "scene.tif", tmp_path / "scene_classes.tif"])) == [
        ("scene_classes.tif", "scene_classes")
    ]


def test_nothing_but_own_outputs_is_refused(tmp_path, make_raster):
    path = make_raster("out/scene.tif")
    with rasterio.open(path, "r+") as file:
        file.update_tags(GEOSEG_FINGERPRINT="abc")
    with pytest.raises(
        ConfigError, match=r"scene\.tif: was made by geoseg itself; give the imagery"
    ):
        find_sources([path])
    with pytest.raises(ConfigError, match="was made by geoseg itself"):
        find_sources([tmp_path / "out"])
    found = find_sources([tmp_path / "out", make_raster("in/a.tif")])
    assert names(found) == [("a.tif", "a")]
    assert found.own == [f"{path}: was made by geoseg itself"]


def test_a_file_named_twice_counts_once(tmp_path, make_raster):
    path = make_raster("a.tif")
    assert len(find_sources([path, tmp_path, path]).sources) == 1
    assert find_sources([path, os.path.relpath(path)]).repeated == []


def test_two_sources_of_one_target_are_refused_naming_both_and_the_others_continue(
    tmp_path, make_raster
):
    one, other = make_raster("a/scene.tif"), make_raster("b/scene.tif")
    assert len(find_sources([tmp_path]).sources) == 2
    found = find_sources([one, other, make_raster("c/third.tif")])
    assert names(found) == [("third.tif", "third")]
    assert list(found.failures) == [one, other]
    assert found.failures[one].startswith(
        f"{one}: would write scene_*, and so would {other}; rename one"
    )


def test_a_quick_look_beside_its_image_stops_these_two_alone(tmp_path, make_raster):
    make_raster("a.tif"), make_raster("a.jpg", driver="JPEG"), make_raster("b.tif")
    found = find_sources([tmp_path])
    assert names(found) == [("b.tif", "b")]
    assert {path.name for path in found.failures} == {"a.tif", "a.jpg"}
    assert names(find_sources([tmp_path / "a.tif"])) == [("a.tif", "a")]  # as the message advises


def test_a_second_link_to_one_file_is_named(tmp_path, make_raster):
    path = make_raster("a.tif")
    (tmp_path / "b.tif").symlink_to("a.tif")
    found = find_sources([tmp_path])
    assert names(found) == [("a.tif", "a")]
    assert found.repeated == [f"{tmp_path / 'b.tif'}: is the same file as {path}"]


def test_what_nobody_expects_of_one_file_refuses_it_alone(tmp_path, make_raster, monkeypatch):
    for name in ("a.tif", "b.tif", "c.tif"):
        make_raster(name)
    read = discovery.read_fingerprint

    def broken(path):
        if path.name == "b.tif":
            raise TypeError("data type not understood")
        return read(path)

    monkeypatch.setattr(discovery, "read_fingerprint", broken)
    found = find_sources([tmp_path])
    assert names(found) == [("a.tif", "a"), ("c.tif", "c")]
    assert "TypeError: data type not understood" in found.failures[tmp_path / "b.tif"]


def test_missing_paths_and_empty_folders_do_not_stop_the_others(tmp_path, make_raster):
    (tmp_path / "empty").mkdir()
    missing, empty, there = find_sources(
        [tmp_path / "none.tif", tmp_path / "empty", make_raster("a.tif")]
    ).sources
    assert there.path.name == "a.tif"
    with pytest.raises(SourceError, match=r"none.tif: no such file or folder"):
        open_raster(missing.path)
    with pytest.raises(SourceError, match="empty: this folder holds no raster to read"):
        open_raster(empty.path)
    assert empty.relative == Path("empty")
