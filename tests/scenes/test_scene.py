"""Windows of a world, pure, seamless, labelled and not decided by colour; and scenes as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin
from sklearn.ensemble import HistGradientBoostingClassifier

from geoseg.errors import ConfigError, OutputError
from geoseg.metrics import ConfusionMatrix
from geoseg.scenes import BANDS, CLASSES, render, scene, write_folder, write_scene

IMPERVIOUS, BUILDING, LOW_VEGETATION, TREE, CAR = range(5)

BIG = (3, -260, 410, 360, 420)


@pytest.fixture(scope="module")
def big() -> tuple[np.ndarray, np.ndarray]:
    return render(*BIG)


@pytest.fixture(scope="module")
def varied() -> tuple[np.ndarray, np.ndarray]:
    """Pixels of many towns, grey values ``(n, 4)`` and classes ``(n,)``; the last third unseen."""
    rng = np.random.default_rng(0)
    colours, classes = [], []
    for seed in range(400, 418):
        row, col = (int(place) for place in rng.integers(-20_000, 20_000, 2))
        image, labels = render(seed, row, col, 256, 256)
        chosen = rng.choice(labels.size, 4000, replace=False)
        colours.append(image.reshape(4, -1).T[chosen])
        classes.append(labels.ravel()[chosen])
    return np.concatenate(colours), np.concatenate(classes)


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_window_rendered_alone_equals_the_same_crop_of_a_larger_one(
    big: tuple[np.ndarray, np.ndarray], data: st.DataObject
) -> None:
    seed, row, col, height, width = BIG
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    rows, cols = (
        data.draw(st.integers(1, min(120, height - top))),
        data.draw(st.integers(1, min(120, width - left))),
    )
    image, labels = render(seed, row + top, col + left, rows, cols)
    np.testing.assert_array_equal(image, big[0][:, top : top + rows, left : left + cols])
    np.testing.assert_array_equal(labels, big[1][top : top + rows, left : left + cols])


@pytest.mark.parametrize("ground_sampling", [0.09, 0.2])
def test_windows_join_at_any_ground_sampling(ground_sampling: float) -> None:
    whole, labels = render(7, 50, -90, 150, 200, ground_sampling=ground_sampling)
    left, right = (
        render(7, 50, col, 150, 100, ground_sampling=ground_sampling) for col in (-90, 10)
    )
    np.testing.assert_array_equal(whole, np.concatenate([left[0], right[0]], axis=2))
    np.testing.assert_array_equal(labels, np.concatenate([left[1], right[1]], axis=1))


def test_seeds_and_places_differ(big: tuple[np.ndarray, np.ndarray]) -> None:
    seed, row, col, height, width = BIG
    assert (render(seed + 1, row, col, height, width)[1] != big[1]).mean() > 0.2
    assert (render(seed, row + 5000, col, height, width)[1] != big[1]).mean() > 0.2


def test_pixels_are_never_zero_and_labels_are_classes(
    varied: tuple[np.ndarray, np.ndarray],
) -> None:
    colours, classes = varied
    assert colours.min() >= 1
    assert set(np.unique(classes)) == set(range(len(CLASSES)))
    assert CLASSES.names[CAR] == "car"
    assert len(BANDS) == colours.shape[1]


def test_every_class_has_its_share(varied: tuple[np.ndarray, np.ndarray]) -> None:
    shares = np.bincount(varied[1]) / len(varied[1])
    assert shares[[IMPERVIOUS, BUILDING, LOW_VEGETATION, TREE]].min() > 0.06
    assert 0.008 < shares[CAR] < 0.05


def test_plants_are_bright_in_near_infrared(varied: tuple[np.ndarray, np.ndarray]) -> None:
    near_infrared, red = varied[0][:, 0].astype(float), varied[0][:, 1].astype(float)
    index = (near_infrared - red) / (near_infrared + red)
    green = np.isin(varied[1], (LOW_VEGETATION, TREE))
    assert np.median(index[green]) > 0.2
    assert abs(np.median(index[~green])) < 0.08


@pytest.mark.slow
def test_colour_alone_does_not_decide(varied: tuple[np.ndarray, np.ndarray]) -> None:
    """A boosted classifier of all four bands stays under 0.55 in towns that it has not seen."""
    colours, classes = varied
    seen = len(classes) * 2 // 3
    classifier = HistGradientBoostingClassifier(max_iter=60, random_state=0).fit(
        colours[:seen], classes[:seen]
    )
    confusion = ConfusionMatrix(len(CLASSES))
    confusion.update(classes[seen:], classifier.predict(colours[seen:]))
    assert confusion.mean_iou < 0.55


def test_windows_stay_as_recorded(recorded: Callable[..., None]) -> None:
    places = [(9, -700, 300, 0.15), (10, 0, 0, 0.25), (11, 4000, -90, 0.07)]
    windows = [render(*place[:3], 150, 130, ground_sampling=place[3]) for place in places]
    recorded(
        1e-6,
        images=[image for image, _ in windows],
        labels=[labels for _, labels in windows],
    )


@pytest.mark.parametrize("ground_sampling", [0.05, 0.5])
def test_the_smallest_windows_and_the_limits_of_ground_sampling_are_served(
    ground_sampling: float,
) -> None:
    image, labels = render(0, 5, 5, 1, 1, ground_sampling=ground_sampling)
    assert (image.shape, labels.shape) == ((4, 1, 1), (1, 1))


@pytest.mark.parametrize(("height", "width"), [(0, 5), (5, 0)])
def test_a_window_of_nothing_is_refused(height: int, width: int) -> None:
    with pytest.raises(
        ConfigError, match=f"a window of {height} x {width} pixels holds nothing; give at least 1"
    ):
        render(1, 0, 0, height, width)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ConfigError, match="seed=-1 is negative; give a whole number from 0 on"):
        render(-1, 0, 0, 4, 4)


def test_a_ground_sampling_out_of_range_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"ground_sampling=2.0 m is out of range; .* 0.05 to 0.5 m"
    ):
        render(1, 0, 0, 4, 4, ground_sampling=2.0)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read()


def test_a_scene_is_the_rendered_world(tmp_path: Path) -> None:
    files = write_scene(
        tmp_path / "a" / "x.tif",
        (90, 130),
        5,
        labels=tmp_path / "b" / "x.tif",
        origin=(-40, 7),
        nodata_edge=False,
    )
    image, labels = render(5, -40, 7, 90, 130)
    np.testing.assert_array_equal(read(files.image), image)
    assert files.labels is not None
    np.testing.assert_array_equal(read(files.labels)[0], labels)


def test_pixels_do_not_depend_on_the_windows_they_were_written_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = write_scene(tmp_path / "once.tif", 150, 6, labels=tmp_path / "once_labels.tif")
    monkeypatch.setattr(scene, "_STEP", 64)
    pieces = write_scene(tmp_path / "pieces.tif", 150, 6, labels=tmp_path / "pieces_labels.tif")
    for one, other in zip(once, pieces, strict=True):
        np.testing.assert_array_equal(read(one), read(other))


def test_files_say_where_they_are_and_what_they_hold(tmp_path: Path) -> None:
    files = write_scene(
        tmp_path / "x.tif",
        64,
        41,
        labels=tmp_path / "labels.tif",
        origin=(100, 200),
        ground_sampling=0.2,
    )
    with rasterio.open(files.image) as image, rasterio.open(files.labels) as labels:
        assert image.descriptions == BANDS
        assert image.nodata == 0
        assert labels.nodata == 255
        assert image.crs.to_epsg() == 32632
        assert image.transform == labels.transform
        assert image.res == (0.2, 0.2)
        west, north = image.transform @ (-200, -100)
        assert (west % 10_000, north % 10_000) == pytest.approx((0, 0), abs=1e-6)
        assert rasterio.enums.ColorInterp.alpha not in image.colorinterp
        assert labels.colormap(1)[1][:3] == CLASSES.colors[1]


def test_labels_are_nodata_exactly_where_the_image_is(tmp_path: Path) -> None:
    files = write_scene(tmp_path / "x.tif", (300, 200), 9, labels=tmp_path / "labels.tif")
    image, labels = read(files.image), read(files.labels or Path())
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


def test_a_scene_that_exists_is_not_made_again(tmp_path: Path) -> None:
    files = write_scene(tmp_path / "x.tif", 40, 3)
    before = files.image.stat().st_mtime_ns
    assert write_scene(tmp_path / "x.tif", 40, 3) == files
    assert files.image.stat().st_mtime_ns == before
    write_scene(tmp_path / "x.tif", 40, 4)
    assert files.image.stat().st_mtime_ns != before


@pytest.mark.parametrize("content", [b"notes", None])
def test_what_is_no_scene_is_not_replaced(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    if content is None:
        profile = {"driver": "GTiff", "width": 8, "height": 8, "count": 1, "dtype": "uint8"}
        with rasterio.open(path, "w", **profile, transform=from_origin(0, 8, 1, 1)):
            pass
        content = path.read_bytes()
    path.write_bytes(content)
    with pytest.raises(OutputError, match=r"x\.tif exists and is no scene of geoseg; move it away"):
        write_scene(tmp_path / "new.tif", 8, 3, labels=path)
    assert path.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["x.tif"]


def test_a_failed_scene_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise OSError("no space left")

    monkeypatch.setattr(scene, "_outside", broken)
    with pytest.raises(
        OutputError,
        match=r"y.tif: cannot be written \(no space left\); free the disk or choose another --out",
    ):
        write_scene(tmp_path / "x.tif", 40, 3, labels=tmp_path / "y.tif")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(OutputError, match=r"x\.tif: cannot be written"):
        write_scene(tmp_path / "taken" / "x.tif", 40, 3)


def test_an_unknown_side_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="nodata_edge: 'north' is not a side of a scene; choose from top, left"
    ):
        write_scene(tmp_path / "x.tif", 40, 3, nodata_edge=["north"])


def test_a_folder_of_no_scenes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="scenes=0 makes an empty folder; give at least 1"):
        write_folder(tmp_path, scenes=0)


def test_a_failed_scene_leaves_the_one_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_scene(tmp_path / "x.tif", 40, 3)
    before = files.image.read_bytes()

    def broken(*_: object) -> object:
        raise OSError("no space left")

    monkeypatch.setattr(scene, "_outside", broken)
    with pytest.raises(OutputError, match=r"x\.tif: cannot be written"):
        write_scene(tmp_path / "x.tif", 40, 4)
    assert files.image.read_bytes() == before
    assert list(tmp_path.iterdir()) == [files.image]


def test_facts_of_a_scene_decide_whether_it_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    first = {"path": path, "size": (40, 48), "seed": 3}
    changes = (
        {"size": (48, 40)},
        {"origin": (0, 1)},
        {"origin": (1, 0)},
        {"ground_sampling": 0.2},
        {"nodata_edge": False},
        {"nodata_edge": ["left"]},
    )
    for change in changes:
        write_scene(**first)
        before = path.stat().st_ino
        write_scene(**(first | change))
        assert path.stat().st_ino != before, change


def test_labels_that_are_missing_are_made(tmp_path: Path) -> None:
    write_scene(tmp_path / "x.tif", 40, 3)
    write_scene(tmp_path / "x.tif", 40, 3, labels=tmp_path / "labels.tif")
    assert (tmp_path / "labels.tif").exists()


def test_files_are_tiled_and_compressed(tmp_path: Path) -> None:
    files = write_scene(tmp_path / "x.tif", 600, 3, ground_sampling=0.5)
    with rasterio.open(files.image) as image:
        assert image.block_shapes == [(512, 512)] * 4
        assert image.compression == rasterio.enums.Compression.deflate
        assert image.dtypes == ("uint8",) * 4
        assert image.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "2"
        assert "seed 3" in image.tags()["GEOSEG_SCENE"]


@pytest.mark.parametrize(
    ("seed", "west", "north"), [(0, 0, 0), (39, 39, 0), (41, 1, 1), (1600, 0, 0)]
)
def test_seeds_have_squares_of_10_kilometres(
    tmp_path: Path, seed: int, west: int, north: int
) -> None:
    files = write_scene(tmp_path / "x.tif", 8, seed)
    with rasterio.open(files.image) as image:
        assert image.bounds.left == 300_000 + 10_000 * west
        assert image.bounds.top == 5_300_000 + 10_000 * north


def test_a_side_without_an_edge_has_no_nodata(tmp_path: Path) -> None:
    places = {"top": np.s_[0], "bottom": np.s_[-1], "left": np.s_[:, 0], "right": np.s_[:, -1]}
    for side in places:
        files = write_scene(tmp_path / "x.tif", (200, 260), 5, nodata_edge=[side])
        outside = (read(files.image) == 0).all(axis=0)
        for other, place in places.items():
            inner = outside[place][40:-40]
            assert inner.mean() > 0.9 if other == side else not inner.any()


def test_the_edge_stays_as_recorded(tmp_path: Path, recorded: Callable[..., None]) -> None:
    outside = []
    for name, size, origin in (("a", (90, 300), (7, 11)), ("b", (1800, 60), (-500, 3))):
        files = write_scene(tmp_path / f"{name}.tif", size, 8, origin=origin, ground_sampling=0.5)
        outside.append(read(files.image)[0] == 0)
    recorded(outside=outside)


def test_the_edge_follows_the_world(tmp_path: Path) -> None:
    whole = write_scene(tmp_path / "x.tif", (200, 300), 5, nodata_edge=["top"])
    part = write_scene(tmp_path / "y.tif", (200, 200), 5, origin=(0, 100), nodata_edge=["top"])
    np.testing.assert_array_equal(read(whole.image)[:, :, 100:], read(part.image))


def test_a_folder_without_an_edge_holds_the_whole_world(tmp_path: Path) -> None:
    (files,) = write_folder(tmp_path, scenes=1, size=50, seed=2, nodata_edge=False)
    np.testing.assert_array_equal(read(files.image), render(2, 0, 0, 50, 50)[0])
