from __future__ import annotations

from pathlib import Path

import pytest

from geoseg.datasets.pairing import pair_files
from geoseg.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose files are made by naming them."""
    return tmp_path


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def paired(folder: Path, images: str, labels: str) -> list[tuple[str, str]]:
    pairs = pair_files(str(folder / images), str(folder / labels))
    return [
        (image.relative_to(folder).as_posix(), label.relative_to(folder).as_posix())
        for image, label in pairs
    ]


def test_the_star_is_the_key_and_order_is_not(folder: Path) -> None:
    touch(
        folder,
        "img/2_10_RGB.tif",
        "img/2_9_RGB.tif",
        "gt/2_10_label.tif",
        "gt/2_9_label.tif",
        "img/2_9_RGB.tfw",
    )
    assert paired(folder, "img/*_RGB.tif", "gt/*_label.tif") == [
        ("img/2_10_RGB.tif", "gt/2_10_label.tif"),
        ("img/2_9_RGB.tif", "gt/2_9_label.tif"),
    ]


def test_two_files_of_one_folder_pair_by_their_ends(folder: Path) -> None:
    touch(folder, "a_image.tif", "a_label.tif", "b_image.tif", "b_label.tif")
    assert paired(folder, "*_image.tif", "*_label.tif") == [
        ("a_image.tif", "a_label.tif"),
        ("b_image.tif", "b_label.tif"),
    ]


def test_single_files_pair_whatever_their_names(folder: Path) -> None:
    touch(folder, "x.tif", "y.png")
    assert paired(folder, "x.tif", "y.png") == [("x.tif", "y.png")]


def test_folders_pair_by_stem_and_leave_sidecars_out(folder: Path) -> None:
    touch(
        folder,
        "images/1.png",
        "images/2.png",
        "labels/2.tif",
        "labels/1.tif",
        "images/1.pgw",
        "images/1.png.aux.xml",
    )
    assert paired(folder, "images", "labels") == [
        ("images/1.png", "labels/1.tif"),
        ("images/2.png", "labels/2.tif"),
    ]


def test_two_stars_make_a_key_of_two_parts(folder: Path) -> None:
    touch(
        folder,
        "img/aachen/1_rgb.png",
        "img/bonn/1_rgb.png",
        "gt/bonn/1_ids.png",
        "gt/aachen/1_ids.png",
    )
    assert paired(folder, "img/*/*_rgb.png", "gt/*/*_ids.png") == [
        ("img/aachen/1_rgb.png", "gt/aachen/1_ids.png"),
        ("img/bonn/1_rgb.png", "gt/bonn/1_ids.png"),
    ]


def test_double_stars_stand_for_any_folders(folder: Path) -> None:
    touch(folder, "img/1.tif", "img/deep/er/2.tif", "gt/1.tif", "gt/deep/er/2.tif")
    assert paired(folder, "img/**/*.tif", "gt/**/*.tif") == [
        ("img/1.tif", "gt/1.tif"),
        ("img/deep/er/2.tif", "gt/deep/er/2.tif"),
    ]


@pytest.mark.parametrize(
    ("files", "images", "labels", "message"),
    [
        (["i/1.tif", "i/2.tif", "l/1.tif"], "i/*.tif", "l/*.tif", r"images without labels: 2\.tif"),
        (
            ["i/1.tif", "l/1.tif", "l/3.tif"],
            "i/*.tif",
            "l/*.tif",
            r"labels without an image: 3\.tif",
        ),
        (
            [f"i/{n}.tif" for n in range(6)] + ["l/9.tif"],
            "i",
            "l",
            r"0\.tif, 1\.tif, 2\.tif and 3 more",
        ),
        (["l/1.tif"], "i/*.tif", "l/*.tif", r"i/\*\.tif: no such files"),
        (["i/1.tif", "l/1.tif"], "i/*.tif", "l/1.tif", "do not have the same number of stars"),
        (["i/1.tif", "i/1.png", "l/1.tif"], "i", "l", "have one key"),
    ],
)
def test_files_without_a_partner_are_named(
    folder: Path, files: list[str], images: str, labels: str, message: str
) -> None:
    touch(folder, *files)
    with pytest.raises(ConfigError, match=message):
        paired(folder, images, labels)
