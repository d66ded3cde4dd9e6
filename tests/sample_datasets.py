"""The benchmarks' folders at toy size: real names and layouts, pixels that are easy to learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import Affine, from_origin

from geoseg.classes import CITYSCAPES, ISPRS, ClassScheme
from geoseg.datasets.layouts import POTSDAM_SPLITS, VAIHINGEN_SPLITS

UTM33 = "EPSG:32633"


def write(
    path: Path, data: np.ndarray, *, crs: str | None = None, transform: Affine | None = None
) -> Path:
    """A raster of ``(bands, height, width)``, as TIFF or PNG by its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    profile: dict[str, Any] = {
        "driver": "PNG" if path.suffix == ".png" else "GTiff",
        "dtype": data.dtype,
    }
    if transform is not None:
        profile |= {"transform": transform}
    count, height, width = data.shape
    with rasterio.open(
        path, "w", count=count, height=height, width=width, crs=crs, **profile
    ) as file:
        file.write(data)
    return path


def world_file(path: Path, transform: Affine) -> None:
    """The six lines of a world file that place a raster without a coordinate system."""
    a, b, c, d, e, f = tuple(transform)[:6]
    x, y = c + (a + b) / 2, f + (d + e) / 2
    path.with_suffix(".tfw").write_text(
        "\n".join(repr(float(v)) for v in (a, d, b, e, x, y)) + "\n"
    )


def labels_and_image(
    seed: int, height: int, width: int, classes: int, bands: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """``(height, width)`` class ids in squares of 8 pixels, and an image that shows them."""
    rng = np.random.default_rng(seed)
    coarse = np.arange(-(-height // 8) * -(-width // 8)) + seed
    ids = np.kron((coarse % classes).reshape(-(-height // 8), -1), np.ones((8, 8), int))[
        :height, :width
    ]
    base = np.stack([(ids * (37 + 20 * band) + 20 * band) % 230 for band in range(bands)])
    return ids.astype(np.uint8), (base + rng.integers(0, 20, base.shape)).astype(np.uint8)


def colors_of(ids: np.ndarray, scheme: ClassScheme = ISPRS) -> np.ndarray:
    """``(3, height, width)`` RGB."""
    return scheme.colors_from_ids(ids)


def write_vaihingen(folder: Path, *, complete: bool = True, tiles: list[str] | None = None) -> Path:
    """``top``, ``gts_for_participants`` (of training tiles), the complete labels in the root."""
    preset = VAIHINGEN_SPLITS["isprs"]
    for tile in tiles or [*preset.train, *preset.test]:
        number = int(tile)
        ids, image = labels_and_image(number, 40 + number % 3 * 8, 56, 6)
        transform = from_origin(496_000 + 100 * number, 5_420_000, 0.09, 0.09)
        name = f"top_mosaic_09cm_area{tile}"
        world_file(write(folder / "top" / f"{name}.tif", image), transform)
        if tile in preset.train:
            write(folder / "gts_for_participants" / f"{name}.tif", colors_of(ids))
        eroded = ids.copy()
        eroded[:, ::8] = 255
        if complete:
            write(folder / f"{name}.tif", colors_of(ids))
            write(folder / f"{name}_noBoundary.tif", colors_of(eroded))
    return folder


def write_potsdam(folder: Path, *, tiles: list[str] | None = None) -> Path:
    """``2_Ortho_RGB`` and ``4_Ortho_RGBIR`` georeferenced, ``5_Labels_all`` without any place."""
    preset = POTSDAM_SPLITS["isprs"]
    for number, tile in enumerate(tiles or [*preset.train, *preset.test]):
        ids, image = labels_and_image(number, 48, 48, 6, bands=4)
        transform = from_origin(366_000 + 300 * number, 5_808_000, 0.05, 0.05)
        rgb = folder / "2_Ortho_RGB" / f"top_potsdam_{tile}_RGB.tif"
        world_file(write(rgb, image[:3], crs=UTM33, transform=transform), transform)
        irrgb = folder / "4_Ortho_RGBIR" / f"top_potsdam_{tile}_RGBIR.tif"
        write(irrgb, image, crs=UTM33, transform=transform)
        write(folder / "5_Labels_all" / f"top_potsdam_{tile}_label.tif", colors_of(ids))
    return folder


def write_cityscapes(folder: Path, *, train: int = 4, val: int = 2, test: int = 1) -> Path:
    """``leftImg8bit`` and ``gtFine`` with all their files; the test labels are blank."""
    values = np.array([group[0] for group in CITYSCAPES.values], np.uint8)
    seed = 0
    for split, city, count in (
        ("train", "aachen", train),
        ("val", "lindau", val),
        ("test", "berlin", test),
    ):
        for frame in range(count):
            ids, image = labels_and_image(seed := seed + 1, 32, 64, 19)
            label_ids = values[ids] if split != "test" else np.zeros_like(ids)
            label_ids[:2] = 1  # ego vehicle
            name = f"{city}_{frame:06}_000019"
            write(folder / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png", image)
            labels = folder / "gtFine" / split / city
            write(labels / f"{name}_gtFine_labelIds.png", label_ids[None])
            write(labels / f"{name}_gtFine_color.png", colors_of(ids, CITYSCAPES))
            objects = np.where(label_ids >= 24, label_ids.astype(np.uint16) * 1000, label_ids)
            write(labels / f"{name}_gtFine_instanceIds.png", objects[None].astype(np.uint16))
            (labels / f"{name}_gtFine_polygons.json").write_text("{}")
    return folder
