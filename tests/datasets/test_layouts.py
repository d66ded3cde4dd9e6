from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from geoseg.datasets.layouts import (
    LAYOUTS,
    POTSDAM_SPLITS,
    VAIHINGEN_SPLITS,
    Preset,
    find_labelled_images,
    find_layout,
    folders_below,
)
from geoseg.errors import ConfigError

FOLDER = find_layout("folder")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(
    name: str, root: Path, images: str | None = None, labels: str | None = None
) -> tuple[dict[str, tuple[str, str]], list[str]]:
    pairs, lines = find_labelled_images(find_layout(name), root, images, labels)
    names = {
        tile: tuple(path.relative_to(root).as_posix() for path in (pair.raster, pair.labels))
        for tile, pair in pairs.items()
    }
    assert all(pair.tile == tile for tile, pair in pairs.items())
    return names, [line.replace(f"{root}/", "") for line in lines]


def test_an_unknown_data_set_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="oslo: no data set that geoseg knows; choose vaihingen, potsdam, citys"
    ):
        find_layout("oslo")


@pytest.mark.parametrize(
    ("name", "key", "number"),
    [
        ("vaihingen", "top_mosaic_09cm_area07", "7"),
        ("potsdam", "top_potsdam_02_10", "2_10"),
        ("cityscapes", "bonn_000001_000019", "bonn_000001_000019"),
        ("folder", "area3", "area3"),
    ],
)
def test_splits_call_tiles_by_their_numbers(name: str, key: str, number: str) -> None:
    assert LAYOUTS[name].tile_number(key) == number


@pytest.mark.parametrize(
    ("name", "file", "count", "bands"),
    [
        ("vaihingen", "x.tif", 3, ("near-infrared", "red", "green")),
        ("vaihingen", "x.tif", 4, None),
        ("potsdam", "t_RGB.tif", 3, ("red", "green", "blue")),
        ("potsdam", "t_IRRG.tif", 3, ("near-infrared", "red", "green")),
        ("potsdam", "t_RGBIR.tif", 4, ("red", "green", "blue", "near-infrared")),
        ("potsdam", "t.tif", 3, None),
        ("cityscapes", "x.png", 3, ("red", "green", "blue")),
        ("folder", "x.tif", 3, None),
    ],
)
def test_bands_are_known_by_the_end_of_a_files_name(
    name: str, file: str, count: int, bands: tuple[str, ...] | None
) -> None:
    assert LAYOUTS[name].band_names(Path(file), count) == bands


def test_complete_labels_are_taken_before_those_of_participants(tmp_path: Path) -> None:
    area = "top_mosaic_09cm_area1"
    touch(tmp_path, f"x/top/{area}.tif", f"gts_for_participants/{area}.tif")
    image = f"x/top/{area}.tif"
    assert found("vaihingen", tmp_path)[0] == {area: (image, f"gts_for_participants/{area}.tif")}
    touch(tmp_path, f"{area}.tif", f"{area}_noBoundary.tif")
    assert found("vaihingen", tmp_path)[0] == {area: (image, f"{area}.tif")}
    touch(tmp_path, f"y_ground_truth_COMPLETE/{area}.tif")
    complete = f"y_ground_truth_COMPLETE/{area}.tif"
    assert found("vaihingen", tmp_path)[0] == {area: (image, complete)}


def test_rgb_is_taken_before_other_bands(tmp_path: Path) -> None:
    touch(tmp_path, "4_Ortho_RGBIR/top_potsdam_2_10_RGBIR.tif")
    touch(tmp_path, "5_Labels_all/top_potsdam_2_10_label.tif")
    labels = "5_Labels_all/top_potsdam_2_10_label.tif"
    tile = "top_potsdam_2_10"
    for folder, bands in (
        ("4_Ortho_RGBIR", "RGBIR"),
        ("3_Ortho_IRRG", "IRRG"),
        ("2_Ortho_RGB", "RGB"),
    ):
        touch(tmp_path, f"{folder}/{tile}_{bands}.tif", f"{folder}/{tile}_{bands}.tfw")
        expected = {tile: (f"{folder}/{tile}_{bands}.tif", labels)}
        assert found("potsdam", tmp_path) == (expected, [])


def test_a_folder_of_a_better_pattern_that_cannot_be_searched_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "3_Ortho_IRRG/top_potsdam_2_10_IRRG.tif")
    touch(tmp_path, "5_Labels_all/top_potsdam_2_10_label.tif")
    (tmp_path / "2_Ortho_RGB").symlink_to("/nowhere/at/all")
    pairs, lines = found("potsdam", tmp_path)
    assert list(pairs) == ["top_potsdam_2_10"]
    message = "2_Ortho_RGB: this link cannot be followed"
    assert [line[: len(message)] for line in lines] == [message]
    shutil.rmtree(tmp_path / "3_Ortho_IRRG")
    with pytest.raises(ConfigError, match=f"no images there .*{message}"):
        found("potsdam", tmp_path)


def test_cityscapes_test_images_have_no_labels_and_are_not_missed(tmp_path: Path) -> None:
    for split, city in (("train", "ulm"), ("test", "bonn")):
        name = f"{city}_000000_000019"
        touch(tmp_path, f"leftImg8bit/{split}/{city}/{name}_leftImg8bit.png")
        touch(tmp_path, f"gtFine/{split}/{city}/{name}_gtFine_labelIds.png")
    names, lines = found("cityscapes", tmp_path)
    assert (list(names), lines) == (["ulm_000000_000019"], [])
    # The data set itself may be in a folder that is named like a part.
    inside = tmp_path / "leftImg8bit" / "test"
    assert folders_below(inside, inside / "bonn" / "a.png") == ("bonn",)
    assert folders_below(Path("elsewhere"), Path("a/b/c.png")) == ("a", "b")


def test_two_files_are_named_by_the_image(tmp_path: Path) -> None:
    touch(tmp_path, "Ortho RGB.tif", "gt.tif", "houses.gpkg")
    assert found("folder", tmp_path, "Ortho RGB.tif", "gt.tif")[0] == {
        "Ortho_RGB": ("Ortho RGB.tif", "gt.tif")
    }
    assert found("folder", tmp_path, "Ortho RGB.tif", "houses.gpkg")[0] == {
        "ortho_rgb": ("Ortho RGB.tif", "houses.gpkg")
    }


def test_tiles_become_file_names(tmp_path: Path) -> None:
    touch(tmp_path, "a b/1.tif", "a b/1.png", "c/2.tif", "c/2.png")
    names, _ = found("folder", tmp_path, "*/*.tif", "*/*.png")
    assert list(names) == ["a_b_1", "c_2"]
    touch(tmp_path, "a_b/1.tif", "a_b/1.png")
    with pytest.raises(ConfigError, match=r"a_b/1.tif would both be called a_b_1; rename one of"):
        found("folder", tmp_path, "*/*.tif", "*/*.png")


def test_unpaired_files_are_described_where_no_preset_knows_the_tiles(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.tif", "images/b.tif", "labels/b.tif", "labels/c.tif", "labels/c.png")
    touch(tmp_path, "top/top_mosaic_09cm_area1.tif", "top/top_mosaic_09cm_area2.tif")
    touch(tmp_path, "top_mosaic_09cm_area2.tif", "top_mosaic_09cm_area3.tif")
    names, lines = found("folder", tmp_path)
    assert list(names) == ["b"]
    assert [line.partition(";")[0] for line in lines] == [
        "labels/c.png and labels/c.tif both belong to tile c",
        "image without a label under labels: images/a.tif",
    ]
    assert found("vaihingen", tmp_path)[1] == []


def test_nothing_that_pairs_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.tif", "labels/b.tif")
    with pytest.raises(
        ConfigError, match=r"no image has labels; the images are of a, the labels of b: give two"
    ):
        found("folder", tmp_path)
    touch(tmp_path, "labels/a.tif", "labels/a.png")
    with pytest.raises(ConfigError, match=r"a.png and .*a.tif both belong to tile a"):
        found("folder", tmp_path)
    with pytest.raises(
        ConfigError, match=r"a.tif: is named by --images and by --labels; give patt"
    ):
        found("folder", tmp_path, "images/*.tif", "images/*.tif")
    with pytest.raises(
        ConfigError,
        match=r"no images there \(looked for \*\*/top/top_mosaic_09cm_area\*.tif\); say",
    ):
        found("vaihingen", tmp_path)


@pytest.mark.parametrize(
    ("preset", "train", "val", "test"),
    [
        (VAIHINGEN_SPLITS["isprs"], 16, 0, 17),
        (VAIHINGEN_SPLITS["geoseg"], 15, 1, 17),
        (VAIHINGEN_SPLITS["audebert12-4"], 12, 0, 4),
        (POTSDAM_SPLITS["isprs"], 24, 0, 14),
        (POTSDAM_SPLITS["geoseg"], 22, 1, 14),
    ],
)
def test_presets_have_the_sizes_of_the_papers(
    preset: Preset, train: int, val: int, test: int
) -> None:
    assert (len(preset.train), len(preset.val), len(preset.test)) == (train, val, test)
    assert len(preset.parts) == train + val + test  # no tile in two parts


def test_the_splits_of_a_data_set_share_their_test_tiles_and_all_33_and_38_tiles() -> None:
    assert VAIHINGEN_SPLITS["isprs"].test == VAIHINGEN_SPLITS["geoseg"].test
    assert len(VAIHINGEN_SPLITS["isprs"].parts) == 33
    assert set(VAIHINGEN_SPLITS["audebert12-4"].parts) == set(VAIHINGEN_SPLITS["isprs"].train)
    left_out = set(POTSDAM_SPLITS["isprs"].parts) - set(POTSDAM_SPLITS["geoseg"].parts)
    assert left_out == set(POTSDAM_SPLITS["geoseg"].excluded) == {"7_10"}


def test_a_tile_in_two_parts_is_refused() -> None:
    with pytest.raises(ConfigError, match="tile b is in two parts"):
        Preset(("a", "b"), ("b",))
    with pytest.raises(ConfigError, match="tile a is in two parts"):
        Preset(("a",), excluded={"a": "why"})


def test_parts_are_given_in_the_order_train_val_test() -> None:
    preset = Preset(("b", "a"), ("d",), ("c",), {"e": "why"})
    assert list(preset.parts.items()) == [
        ("b", "train"),
        ("a", "train"),
        ("d", "val"),
        ("c", "test"),
    ]


def test_geosegs_splits_validate_on_one_training_tile_of_the_contest() -> None:
    assert VAIHINGEN_SPLITS["geoseg"].val == ("30",)
    assert POTSDAM_SPLITS["geoseg"].val == ("2_10",)
    vaihingen, potsdam = VAIHINGEN_SPLITS["isprs"], POTSDAM_SPLITS["isprs"]
    assert {"30"} == {*vaihingen.train} - {*VAIHINGEN_SPLITS["geoseg"].train}
    assert {"2_10", "7_10"} == {*potsdam.train} - {*POTSDAM_SPLITS["geoseg"].train}
    numbers = {int(tile) for tile in vaihingen.parts}
    assert numbers == set(range(1, 39)) - {9, 18, 19, 25, 36}
    columns = {(int(row), int(col)) for row, col in (tile.split("_") for tile in potsdam.parts)}
    assert {row for row, _ in columns} == set(range(2, 8))
    assert {col for _, col in columns} == set(range(7, 16))
