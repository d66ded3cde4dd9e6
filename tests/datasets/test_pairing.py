from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from geoseg.datasets.pairing import (
    Pair,
    Pairing,
    describe_unpaired,
    objects_by_tile,
    pair_all,
    pair_files,
    with_companions,
)
from geoseg.errors import ConfigError, GeosegError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names_of(pairing: Pairing, folder: Path) -> list[tuple[str, str, str]]:
    return [
        (
            pair.tile,
            pair.raster.relative_to(folder).as_posix(),
            pair.labels.relative_to(folder).as_posix(),
        )
        for pair in pairing.pairs
    ]


def paired(folder: Path, rasters: str, labels: str, **rules: Any) -> list[tuple[str, str, str]]:
    return names_of(pair_files(str(folder / rasters), str(folder / labels), **rules), folder)


def trained_on(folder: Path, images: str, labels: str) -> list[tuple[str, str]]:
    pairs = pair_all(str(folder / images), str(folder / labels))
    return [
        (pair.raster.relative_to(folder).as_posix(), pair.labels.relative_to(folder).as_posix())
        for pair in pairs
    ]


# Rules that are the same for prepare, train and evaluate.


def test_two_files_are_a_pair_whatever_their_names(tmp_path: Path) -> None:
    touch(tmp_path, "x.tif", "y_label.png")
    assert paired(tmp_path, "x.tif", "y_label.png") == [("y", "x.tif", "y_label.png")]
    assert trained_on(tmp_path, "x.tif", "y_label.png") == [("x.tif", "y_label.png")]


def test_patterns_pair_by_the_text_of_their_stars_not_by_order(tmp_path: Path) -> None:
    touch(
        tmp_path,
        *("img/2_10_RGB.tif", "img/2_9_RGB.tif", "img/2_9_RGB.tfw"),
        *("gt/2_10_label.tif", "gt/2_9_label.tif"),
    )
    expected = [
        ("img/2_10_RGB.tif", "gt/2_10_label.tif"),
        ("img/2_9_RGB.tif", "gt/2_9_label.tif"),
    ]
    patterns = "img/*_RGB.tif", "gt/*_label.tif"
    assert trained_on(tmp_path, *patterns) == expected
    assert [pair[1:] for pair in paired(tmp_path, *patterns)] == expected


def test_patterns_pair_files_of_one_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a_image.tif", "a_label.tif", "b_image.tif", "b_label.tif")
    assert trained_on(tmp_path, "*_image.tif", "*_label.tif") == [
        ("a_image.tif", "a_label.tif"),
        ("b_image.tif", "b_label.tif"),
    ]


def test_two_stars_make_a_key_of_two_parts(tmp_path: Path) -> None:
    touch(
        tmp_path, *(f"{kind}/{city}/1_x.png" for kind in ("img", "gt") for city in ("ulm", "bonn"))
    )
    assert paired(tmp_path, "img/*/*_x.png", "gt/*/*_x.png") == [
        ("bonn/1", "img/bonn/1_x.png", "gt/bonn/1_x.png"),
        ("ulm/1", "img/ulm/1_x.png", "gt/ulm/1_x.png"),
    ]


def test_double_stars_match_any_folders(tmp_path: Path) -> None:
    touch(tmp_path, "img/1.tif", "img/deep/er/2.tif", "gt/1.tif", "gt/deep/er/2.tif")
    assert trained_on(tmp_path, "img/**/*.tif", "gt/**/*.tif") == [
        ("img/1.tif", "gt/1.tif"),
        ("img/deep/er/2.tif", "gt/deep/er/2.tif"),
    ]


def test_folders_pair_by_tile_at_any_depth(tmp_path: Path) -> None:
    touch(
        tmp_path,
        *("out/x/2_10_classes.tif", "out/2_9_classes.tif", "out/2_9_confidence.tif"),
        *("gt/2_9_label.tif", "gt/2_10_label.tif", "gt/notes.txt", "gt/.hidden/3_1.tif"),
    )
    expected = [
        ("2_10", "out/x/2_10_classes.tif", "gt/2_10_label.tif"),
        ("2_9", "out/2_9_classes.tif", "gt/2_9_label.tif"),
    ]
    assert paired(tmp_path, "out", "gt") == expected
    assert trained_on(tmp_path, "out", "gt") == sorted(pair[1:] for pair in expected)


def test_a_pattern_and_a_folder_pair_by_tile_and_cityscapes_other_views_are_not_labels(
    tmp_path: Path,
) -> None:
    touch(tmp_path, "p/a_classes.tif", "gt/x/a_gtFine_labelIds.png", "gt/x/a_gtFine_color.png")
    expected = [("a", "p/a_classes.tif", "gt/x/a_gtFine_labelIds.png")]
    assert paired(tmp_path, "p", "gt/*/*_labelIds.png") == expected
    assert paired(tmp_path, "p", "gt") == expected


def test_patterns_with_other_numbers_of_stars_pair_by_tile(tmp_path: Path) -> None:
    touch(tmp_path, "img/a/1_rgb.tif", "gt/1_label.tif")
    assert paired(tmp_path, "img/*/*.tif", "gt/*.tif") == [
        ("1", "img/a/1_rgb.tif", "gt/1_label.tif")
    ]
    assert trained_on(tmp_path, "img/**/*.tif", "gt/1_label.tif") == [
        ("img/a/1_rgb.tif", "gt/1_label.tif")
    ]


def test_one_name_in_several_folders_is_distinguished_by_the_folder(tmp_path: Path) -> None:
    touch(tmp_path, "out/n/1_classes.tif", "out/s/1_classes.tif", "gt/s/1.png", "gt/n/1.png")
    expected = [
        ("n/1", "out/n/1_classes.tif", "gt/n/1.png"),
        ("s/1", "out/s/1_classes.tif", "gt/s/1.png"),
    ]
    assert paired(tmp_path, "out", "gt") == expected
    assert paired(tmp_path, "out", "gt/*/1.png") == expected


def test_folders_that_differ_on_both_sides_distinguish_nothing(tmp_path: Path) -> None:
    touch(tmp_path, "out/a/1_classes.tif", "out/a/2_classes.tif")
    touch(tmp_path, "gt/x/1_label.tif", "gt/y/1_label.tif", "gt/x/2_label.tif")
    pairing = pair_files(f"{tmp_path}/out", f"{tmp_path}/gt")
    assert [pair.tile for pair in pairing.pairs] == ["2"]
    assert len(pairing.ambiguous) == 1


def test_one_file_of_polygons_serves_all_images(tmp_path: Path) -> None:
    touch(tmp_path, "img/a.tif", "img/B.tif", "all.GPKG", "img/notes.gpkg")
    assert paired(tmp_path, "img", "all.GPKG") == [
        ("a", "img/a.tif", "all.GPKG"),
        ("b", "img/B.tif", "all.GPKG"),
    ]
    assert trained_on(tmp_path, "img/*.tif", "all.GPKG") == [
        ("img/B.tif", "all.GPKG"),
        ("img/a.tif", "all.GPKG"),
    ]
    assert trained_on(tmp_path, "img/a.tif", "all.GPKG") == [("img/a.tif", "all.GPKG")]
    with pytest.raises(
        ConfigError, match=r"no\.shp: no such file; give polygons, or label rasters"
    ):
        paired(tmp_path, "img", "no.shp")
    with pytest.raises(ConfigError, match="empty: no such file or folder"):
        paired(tmp_path, "empty", "all.GPKG")


def test_polygons_may_be_one_file_per_image(tmp_path: Path) -> None:
    touch(tmp_path, "img/a.tif", "drawn/a.geojson", "drawn/readme.txt")
    for labels in ("drawn", "drawn/*.geojson", "*/*.geojson"):
        assert trained_on(tmp_path, "img", labels) == [("img/a.tif", "drawn/a.geojson")]


def test_full_labels_are_preferred_to_eroded_ones_unless_these_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "img/a.tif", "gt/a_label.tif", "gt/a_label_noBoundary.tif", "img/b.tif")
    touch(tmp_path, "gt/b_noBoundary.tif", "img/n/c.tif", "img/s/c.tif")
    touch(tmp_path, *(f"gt/{place}/c{end}.tif" for place in "ns" for end in ("", "_noBoundary")))
    assert [pair[2] for pair in paired(tmp_path, "img/*.tif", "gt")] == [
        "gt/a_label.tif",
        "gt/b_noBoundary.tif",
    ]
    assert [pair[2] for pair in paired(tmp_path, "img", "gt")][2:] == ["gt/n/c.tif", "gt/s/c.tif"]
    named = paired(tmp_path, "img", "gt/*_noBoundary.tif")
    assert [pair[2] for pair in named] == ["gt/a_label_noBoundary.tif", "gt/b_noBoundary.tif"]


def test_several_files_of_one_tile_are_named_and_the_others_pair(tmp_path: Path) -> None:
    touch(tmp_path, "out/1_classes.tif", "out/2_classes.tif")
    touch(tmp_path, "gt/1_label.tif", "gt/1_mask.tif", "gt/2_label.tif")
    pairing = pair_files(f"{tmp_path}/out", f"{tmp_path}/gt")
    assert [pair.tile for pair in pairing.pairs] == ["2"]
    assert pairing.ambiguous == [
        f"{tmp_path}/gt/1_label.tif and {tmp_path}/gt/1_mask.tif both belong to tile 1; name the "
        f"files by a pattern, as '{tmp_path}/gt/*_label.tif'"
    ]


def test_tiles_with_a_skipped_raster_are_neither_paired_nor_missed(tmp_path: Path) -> None:
    touch(tmp_path, "img/train/a.tif", "img/test/b.tif", "gt/a.tif", "gt/b.tif", "gt/c.tif")
    pairing = pair_files(
        f"{tmp_path}/img", f"{tmp_path}/gt", skip=lambda path: path.parent.name == "test"
    )
    assert [pair.tile for pair in pairing.pairs] == ["a"]
    assert (list(pairing.unpaired_rasters), list(pairing.unpaired_labels)) == ([], ["c"])


def test_files_without_a_partner_are_described_on_both_sides(tmp_path: Path) -> None:
    touch(tmp_path, "out/2_classes.tif", *(f"out/{n}.x_classes.tif" for n in range(7)))
    touch(tmp_path, "gt/2_label.tif", "gt/4_label.tif")
    given = f"{tmp_path}/out", f"{tmp_path}/gt"
    pairing = pair_files(*given)
    shown = ", ".join(f"out/{n}.x_classes.tif" for n in range(6))
    lines = describe_unpaired(pairing, *given, ("prediction", "reference"))
    assert [line.replace(f"{tmp_path}/", "") for line in lines] == [
        f"predictions without a reference under gt: {shown} and 1 more; add the reference, or "
        "leave "
        "the tile out",
        "reference without a prediction under out: gt/4_label.tif; add the prediction, or leave "
        "the "
        "tile out",
    ]
    assert "label without an image under " in describe_unpaired(pairing, *given)[1]


@pytest.mark.parametrize(
    ("rasters", "labels", "message"),
    [
        (
            "out",
            "gt",
            r"gt: no rasters or polygons there; give a file, a folder, or a pattern such",
        ),
        ("out/3_classes.tif", "gt", r"out/3_classes.tif: no such file or folder; give a file, a"),
        ("out/*_x.tif", "gt/*_y.tif", r"out/\*_x.tif: no rasters there"),
    ],
)
def test_nothing_there_is_refused(tmp_path: Path, rasters: str, labels: str, message: str) -> None:
    touch(tmp_path, "out/1_classes.tif", "gt/readme.txt")
    with pytest.raises(ConfigError, match=message):
        paired(tmp_path, rasters, labels)


@pytest.mark.parametrize("given", ["out", "out/*.tif"])
def test_where_nothing_is_seen_since_it_cannot_be_followed_that_is_said(
    tmp_path: Path, given: str
) -> None:
    touch(tmp_path, "gt/1.tif", "out/readme.txt")
    (tmp_path / "out/1.tif").symlink_to("nothing")
    with pytest.raises(ConfigError, match=r"no rasters there; .*1\.tif: this link cannot be follo"):
        paired(tmp_path, given, "gt")


# What train alone does: names before tiles, and nothing may be left over.


def test_files_directly_inside_two_folders_pair_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "images/1.png", "images/2.png", "images/1.pgw", "images/1.png.aux.xml")
    touch(tmp_path, "labels/2.tif", "labels/1.tif", "images/old/3.png")
    expected = [("images/1.png", "labels/1.tif"), ("images/2.png", "labels/2.tif")]
    assert trained_on(tmp_path, "images", "labels") == expected
    assert trained_on(tmp_path, "images", "labels/*.tif") == expected


def test_names_that_only_the_folder_pairs_need_not_be_of_different_tiles(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{kind}/a_{view}.tif" for kind in ("i", "l") for view in ("RGB", "IRRG")))
    assert trained_on(tmp_path, "i", "l") == [
        ("i/a_IRRG.tif", "l/a_IRRG.tif"),
        ("i/a_RGB.tif", "l/a_RGB.tif"),
    ]


def test_a_known_layout_pairs_by_tile_whatever_the_stars_match(tmp_path: Path) -> None:
    touch(tmp_path, "i/a_IRRG.tif", "l/a_label.tif")
    assert paired(tmp_path, "i/*.tif", "l/*.tif", first="tiles") == [
        ("a", "i/a_IRRG.tif", "l/a_label.tif")
    ]
    assert paired(tmp_path, "i/*.tif", "l/*.tif") == []


@pytest.mark.parametrize(
    ("files", "images", "labels", "message"),
    [
        (
            ["i/1.tif", "i/2.tif", "l/1.tif"],
            "i/*.tif",
            "l/*.tif",
            r"image without a label .*2\.tif",
        ),
        (["i/1.tif", "l/1.tif", "l/3.tif"], "i", "l", r"label without an image .*3\.tif"),
        (
            [f"i/{n}.tif" for n in range(8)] + ["l/9.tif"],
            *("i", "l", r"images without a label .*0\.tif, .*5\.tif and 2 more"),
        ),
        (["l/1.tif"], "i/*.tif", "l/*.tif", r"i/\*\.tif: no rasters there"),
        (["i/1.tif", "i/1.png", "l/1.tif"], "i", "l", "both belong to tile 1; name the files by a"),
    ],
)
def test_training_refuses_what_is_left_over(
    tmp_path: Path, files: list[str], images: str, labels: str, message: str
) -> None:
    touch(tmp_path, *files)
    with pytest.raises(ConfigError, match=message):
        trained_on(tmp_path, images, labels)


# Objects of evaluate --instances.


def test_objects_may_be_any_files(tmp_path: Path) -> None:
    touch(tmp_path, "o/1_instances.gpkg", "o/2_instanceIds.png")
    found = objects_by_tile(str(tmp_path / "o"))
    assert {tile: [path.name for path in files] for tile, files in found.items()} == {
        "1": ["1_instances.gpkg"],
        "2": ["2_instanceIds.png"],
    }


def test_objects_are_found_by_the_text_of_their_patterns_stars(tmp_path: Path) -> None:
    touch(tmp_path, "o/t0_inst.tif", "o/t1_inst.tif", "c/ulm/ulm_1_gtFine_instanceIds.png")
    found = objects_by_tile(f"{tmp_path}/o/*_inst.tif")
    assert [found[tile][0].name for tile in ("t0", "t1")] == ["t0_inst.tif", "t1_inst.tif"]
    assert list(objects_by_tile(f"{tmp_path}/c/*/*_gtFine_instanceIds.png")) == ["ulm_1"]
    assert list(objects_by_tile(f"{tmp_path}/c/*/*.png")) == ["ulm_1"]


@pytest.mark.parametrize("second", ["../dsm/{stem}_dsm.tif", "dsm/*_dsm.tif", "dsm/a_dsm.tif"])
def test_further_images_belong_to_the_first_by_a_pattern_by_stars_or_to_all(
    tmp_path: Path, second: str
) -> None:
    for name in ("top/a.tif", "top/b.tif", "dsm/a_dsm.tif", "dsm/b_dsm.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    images = [str(tmp_path / "top/*.tif"), second if "{" in second else str(tmp_path / second)]
    pairs = [Pair(stem, tmp_path / f"top/{stem}.tif", tmp_path / "labels") for stem in "ab"]
    found = with_companions(pairs, images)
    names = ["a_dsm.tif", "a_dsm.tif" if second == "dsm/a_dsm.tif" else "b_dsm.tif"]
    assert [pair.companions for pair in found] == [(tmp_path / "dsm" / name,) for name in names]
    assert with_companions(pairs, images[:1]) == pairs
    (tmp_path / "dsm/b_dsm.tif").unlink()
    if second != "dsm/a_dsm.tif":
        with pytest.raises(GeosegError, match=r"without a further image|b_dsm\.tif is not there"):
            with_companions(pairs, images)
