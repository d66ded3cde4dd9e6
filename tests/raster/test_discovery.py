import os
from pathlib import Path

import pytest
import rasterio

from geoseg.errors import ConfigError, SourceError
from geoseg.raster import find_sources, open_raster


def names(found):
    return [(source.path.name, source.relative.as_posix()) for source in found]


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


def test_the_order_of_the_disk_does_not_matter(tmp_path, make_raster, monkeypatch):
    for name in ("a.tif", "b.tif", "c/d.tif", "e/f.tif"):
        make_raster(name)
    walk = os.walk

    def backwards(folder):
        for root, folders, files in walk(folder):
            folders[:] = sorted(folders, reverse=True)
            yield root, folders, sorted(files, reverse=True)

    monkeypatch.setattr(os, "walk", backwards)
    found = [source.relative.as_posix() for source in find_sources([tmp_path])]
    assert found == ["a", "b", "c/d", "e/f"]


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
    assert names(find_sources([tmp_path / "out"])) == [("out", "out")]


def test_a_file_named_twice_counts_once(tmp_path, make_raster):
    path = make_raster("a.tif")
    assert len(find_sources([path, tmp_path, path])) == 1


def test_two_sources_of_one_target_are_refused_naming_both(tmp_path, make_raster):
    one, other = make_raster("a/scene.tif"), make_raster("b/scene.tif")
    assert len(find_sources([tmp_path])) == 2
    with pytest.raises(
        ConfigError, match=r"a/scene\.tif and .*b/scene\.tif would both write scene_\*; rename one"
    ):
        find_sources([one, other])


def test_missing_paths_and_empty_folders_do_not_stop_the_others(tmp_path, make_raster):
    (tmp_path / "empty").mkdir()
    missing, empty, there = find_sources(
        [tmp_path / "none.tif", tmp_path / "empty", make_raster("a.tif")]
    )
    assert there.path.name == "a.tif"
    with pytest.raises(SourceError, match=r"none.tif: no such file or folder"):
        open_raster(missing.path)
    with pytest.raises(SourceError, match="empty: this folder holds no raster to read"):
        open_raster(empty.path)
    assert empty.relative == Path("empty")
