"""Scenes as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.errors import ConfigError, OutputError
from geoseg.scenes import BANDS, CLASSES, render, write, write_folder, write_scene


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read()


def test_a_scene_is_the_rendered_world(tmp_path: Path) -> None:
    scene = write_scene(
        tmp_path / "a" / "x.tif",
        (90, 130),
        5,
        labels=tmp_path / "b" / "x.tif",
        origin=(-40, 7),
        nodata_edge=False,
    )
    image, labels = render(5, -40, 7, 90, 130)
    np.testing.assert_array_equal(read(scene.image), image)
    assert scene.labels is not None
    np.testing.assert_array_equal(read(scene.labels)[0], labels)


def test_pixels_do_not_depend_on_the_windows_they_were_written_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = write_scene(tmp_path / "once.tif", 150, 6, labels=tmp_path / "once_labels.tif")
    monkeypatch.setattr(write, "_STEP", 64)
    pieces = write_scene(tmp_path / "pieces.tif", 150, 6, labels=tmp_path / "pieces_labels.tif")
    for one, other in zip(once, pieces, strict=True):
        np.testing.assert_array_equal(read(one), read(other))


def test_files_say_where_they_are_and_what_they_hold(tmp_path: Path) -> None:
    scene = write_scene(
        tmp_path / "x.tif",
        64,
        41,
        labels=tmp_path / "labels.tif",
        origin=(100, 200),
        ground_sampling=0.2,
    )
    with rasterio.open(scene.image) as image, rasterio.open(scene.labels) as labels:
        assert image.descriptions == BANDS
        assert image.nodata == 0
        assert labels.nodata == 255
        assert image.crs.to_epsg() == 32632
        assert image.transform == labels.transform
        assert image.res == (0.2, 0.2)
        west, north = image.transform * (-200, -100)
        assert (west % 10_000, north % 10_000) == pytest.approx((0, 0), abs=1e-6)
        assert rasterio.enums.ColorInterp.alpha not in image.colorinterp
        assert labels.colormap(1)[1][:3] == CLASSES.colors[1]


def test_labels_are_nodata_exactly_where_the_image_is(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "x.tif", (300, 200), 9, labels=tmp_path / "labels.tif")
    image, labels = read(scene.image), read(scene.labels or Path())
    outside = (image == 0).all(axis=0)
    np.testing.assert_array_equal(outside, labels[0] == 255)
    np.testing.assert_array_equal(outside, (image == 0).any(axis=0))
    for border in (outside[0], outside[-1], outside[:, 0], outside[:, -1]):
        assert border.mean() > 0.5
    depth = outside[:150].sum(axis=0)
    assert len(np.unique(depth[30:170])) > 3, "the edge is ragged"


def test_neighbours_continue_one_another(tmp_path: Path) -> None:
    first, second = write_folder(tmp_path, scenes=2, size=160, seed=12)
    assert first.image == tmp_path / "images" / "scene_1.tif"
    assert second.labels == tmp_path / "labels" / "scene_2.tif"
    both = np.concatenate([read(first.image), read(second.image)], axis=2)
    world, _ = render(12, 0, 0, 160, 320)
    seen = both.any(axis=0)
    np.testing.assert_array_equal(both[:, seen], world[:, seen])
    assert seen[40:120, 120:200].all(), "no nodata along the common border"
    with rasterio.open(first.image) as west, rasterio.open(second.image) as east:
        assert west.bounds.right == pytest.approx(east.bounds.left, abs=1e-6)
        assert west.bounds.top == east.bounds.top


def test_a_scene_that_stands_is_not_made_again(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "x.tif", 40, 3)
    before = scene.image.stat().st_mtime_ns
    assert write_scene(tmp_path / "x.tif", 40, 3) == scene
    assert scene.image.stat().st_mtime_ns == before
    write_scene(tmp_path / "x.tif", 40, 4)
    assert scene.image.stat().st_mtime_ns != before


def test_no_half_written_scene_stands_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, height: int = 0, **__: object) -> object:
        raise OSError("no space left")

    monkeypatch.setattr(write.Edge, "outside", broken)
    with pytest.raises(
        OutputError,
        match=r"y.tif: the scene cannot be written \(no space left\); choose another folder",
    ):
        write_scene(tmp_path / "x.tif", 40, 3, labels=tmp_path / "y.tif")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(OutputError, match="the scene cannot be written"):
        write_scene(tmp_path / "taken" / "x.tif", 40, 3)


def test_an_unknown_side_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="nodata_edge: 'north' is no side of a scene; choose from top, left"
    ):
        write_scene(tmp_path / "x.tif", 40, 3, nodata_edge=["north"])


def test_a_folder_of_no_scenes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="scenes=0 makes an empty folder; give at least 1"):
        write_folder(tmp_path, scenes=0)
