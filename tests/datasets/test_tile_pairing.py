from __future__ import annotations

from pathlib import Path

import pytest

from geoseg.datasets.tile_pairing import files_by_tile, objects_by_tile, pair_by_tile, tile_key
from geoseg.errors import ConfigError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def paired(
    folder: Path, predicted: str, reference: str
) -> tuple[list[tuple[str, str, str]], list[str]]:
    pairs, lonely = pair_by_tile(str(folder / predicted), str(folder / reference))
    names = [
        (
            pair.tile,
            pair.predicted.relative_to(folder).as_posix(),
            pair.reference.relative_to(folder).as_posix(),
        )
        for pair in pairs
    ]
    return names, lonely


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
    ],
)
def test_a_tile_has_one_key_in_all_its_files(names: tuple[str, ...], tile: str) -> None:
    assert {tile_key(Path(name)) for name in names} == {tile}


def test_order_pairs_nothing_and_lonely_files_are_named(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "out/x/2_10_classes.tif",
        "out/2_9_classes.tif",
        "out/3_1_classes.tif",
        "out/2_9_confidence.tif",
    )
    touch(
        tmp_path,
        "gt/2_9_label.tif",
        "gt/2_10_label.tif",
        "gt/4_4_label.tif",
        "gt/notes.txt",
        "gt/.hidden/3_1.tif",
    )
    pairs, lonely = paired(tmp_path, "out", "gt")
    assert pairs == [
        ("2_10", "out/x/2_10_classes.tif", "gt/2_10_label.tif"),
        ("2_9", "out/2_9_classes.tif", "gt/2_9_label.tif"),
    ]
    assert len(lonely) == 2
    lines = [line.replace(f"{tmp_path}/", "") for line in lonely]
    assert lines == [
        "prediction without a reference under gt: out/3_1_classes.tif; add the reference, or leave the tile out",
        "reference without a prediction under out: gt/4_4_label.tif; add the prediction, or leave the tile out",
    ]


def test_two_files_and_two_patterns_pair_as_told(tmp_path: Path) -> None:
    touch(tmp_path, "one.tif", "other.png", "p/a-1.tif", "p/b-1.tif", "r/a.x.png", "r/b.x.png")
    assert paired(tmp_path, "one.tif", "other.png")[0] == [("other", "one.tif", "other.png")]
    assert [pair[1:] for pair in paired(tmp_path, "p/*-1.tif", "r/*.x.png")[0]] == [
        ("p/a-1.tif", "r/a.x.png"),
        ("p/b-1.tif", "r/b.x.png"),
    ]


def test_a_pattern_and_a_folder_pair_by_tile(tmp_path: Path) -> None:
    touch(tmp_path, "p/a_classes.tif", "gt/x/a_gtFine_labelIds.png", "gt/x/a_gtFine_color.png")
    assert paired(tmp_path, "p", "gt/*/*_labelIds.png")[0] == [
        ("a", "p/a_classes.tif", "gt/x/a_gtFine_labelIds.png")
    ]
    assert paired(tmp_path, "p", "gt")[0] == [
        ("a", "p/a_classes.tif", "gt/x/a_gtFine_labelIds.png")
    ]


def test_one_name_in_several_folders_is_told_apart_by_the_folder(tmp_path: Path) -> None:
    touch(tmp_path, "out/n/1_classes.tif", "out/s/1_classes.tif", "gt/s/1.png", "gt/n/1.png")
    assert paired(tmp_path, "out", "gt") == (
        [
            ("n/1", "out/n/1_classes.tif", "gt/n/1.png"),
            ("s/1", "out/s/1_classes.tif", "gt/s/1.png"),
        ],
        [],
    )


def test_two_files_of_one_tile_are_not_chosen_between(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "out/1_classes.tif",
        "out/2_classes.tif",
        "gt/1_label.tif",
        "gt/1_mask.tif",
        "gt/2_label.tif",
    )
    pairs, lonely = paired(tmp_path, "out", "gt")
    assert [pair[0] for pair in pairs] == ["2"]
    assert "1_label.tif and " in lonely[0]
    assert "both belong to tile 1; name the files by a pattern" in lonely[0]


def test_nothing_there_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "out/1_classes.tif", "gt/readme.txt")
    with pytest.raises(ConfigError, match="no rasters there; give a file, a folder, or a pattern"):
        paired(tmp_path, "out", "gt")
    with pytest.raises(
        ConfigError, match=r"out/3_classes.tif: no such file or folder; give a file, a folder, or"
    ):
        paired(tmp_path, "out/3_classes.tif", "gt")
    with pytest.raises(ConfigError, match="no rasters there"):
        paired(tmp_path, "out/*_x.tif", "gt/*_y.tif")


def test_objects_may_be_any_files(tmp_path: Path) -> None:
    touch(tmp_path, "o/1_instances.gpkg", "o/2_instanceIds.png")
    assert {
        tile: [path.name for path in files]
        for tile, files in files_by_tile(str(tmp_path / "o")).items()
    } == {
        "1": ["1_instances.gpkg"],
        "2": ["2_instanceIds.png"],
    }


def test_objects_are_found_by_what_the_stars_of_their_pattern_stand_for(tmp_path: Path) -> None:
    touch(tmp_path, "o/t0_inst.tif", "o/t1_inst.tif", "c/ulm/ulm_1_gtFine_instanceIds.png")
    found = objects_by_tile(f"{tmp_path}/o/*_inst.tif")
    assert [found[tile][0].name for tile in ("t0", "t1")] == ["t0_inst.tif", "t1_inst.tif"]
    assert list(objects_by_tile(f"{tmp_path}/c/*/*_gtFine_instanceIds.png")) == ["ulm_1"]
    assert list(objects_by_tile(f"{tmp_path}/c/*/*.png")) == ["ulm_1"]
