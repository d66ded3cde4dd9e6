"""The plan of `predict` against what runs take: peak memory on many shapes, and time."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from rasterio.transform import from_origin
from rasterio.windows import Window

import geoseg

_TILED = {"tiled": True, "blockxsize": 512, "blockysize": 512}
SHAPES: dict[str, dict[str, Any]] = {
    "square": {"size": (5000, 5000)},
    "two classes": {"size": (5000, 5000), "classes": 2},
    "wide": {"size": (600, 60_000)},
    "tall": {"size": (60_000, 600)},
    "small": {"size": (300, 200)},
    "60 classes": {"size": (2000, 3000), "classes": 60},
    "150 classes": {"size": (1000, 3000), "classes": 150},
    "probabilities": {"size": (3000, 3000), "options": ["--probabilities", "--confidence"]},
    "no polygons": {"size": (600, 60_000), "options": ["--vectors", "none"]},
    "noise": {"size": (1000, 1000), "cell": 1},
    "one strip": {"size": (12_000, 3000), "profile": {"blockysize": 12_000}},
    "uint16, 8 bands": {
        "size": (2000, 9000),
        "bands": 8,
        "dtype": "uint16",
        "options": ["--value-range", "0,255"],
    },
    "two workers": {"size": (3000, 9000), "options": ["--workers", "2"]},
}
"""Shapes that the plan's constants were chosen on."""
OTHERS: dict[str, dict[str, Any]] = {
    "flat, 9 classes": {"size": (700, 23_000), "classes": 9, "cell": 40},
    "high, 3 classes": {"size": (31_000, 900), "classes": 3, "cell": 150},
    "40 classes": {"size": (1500, 2500), "classes": 40, "cell": 24},
    "100 classes, all": {
        "size": (700, 4100),
        "classes": 100,
        "options": ["--probabilities", "--confidence"],
    },
    "noise, 2 classes": {"size": (1500, 1500), "classes": 2, "cell": 1},
    "noise of 3 px": {"size": (2600, 2200), "cell": 3, "options": ["--vectors", "gpkg,shp"]},
    "shapefile": {"size": (4100, 3300), "cell": 9, "options": ["--vectors", "shp"]},
    "float32, 4 bands": {
        "size": (2300, 5100),
        "bands": 4,
        "dtype": "float32",
        "options": ["--value-range", "0,255"],
    },
    "strip of uint16": {
        "size": (6000, 5000),
        "dtype": "uint16",
        "profile": {"blockysize": 6000},
        "options": ["--value-range", "0,255", "--vectors", "none"],
    },
    "fcn on ResNet-18": {"size": (1200, 1700), "system": "fcn", "encoder": "resnet18"},
    "hcnet, 20 classes": {
        "size": (900, 1100),
        "system": "hcnet",
        "encoder": "resnet18",
        "classes": 20,
        "options": ["--probabilities"],
    },
    "crop, confidence": {
        "size": (4000, 7000),
        "options": ["--stitch", "crop", "--window", "256", "--overlap", "32", "--confidence"],
    },
    "three workers": {
        "size": (2500, 6000),
        "classes": 25,
        "options": ["--workers", "3", "--block", "1100"],
    },
    "three rasters": {"size": (1800, 3000), "images": 3},
}
"""Shapes on which they were corrected: other sizes, classes, textures, types and options."""
UNSEEN: dict[str, dict[str, Any]] = {
    "noise, 3 classes": {"size": (2200, 1900), "classes": 3, "cell": 1},
    "noise of 2 px": {"size": (5200, 1300), "classes": 12, "cell": 2},
    "uint16, 5 bands": {
        "size": (900, 14_000),
        "bands": 5,
        "dtype": "uint16",
        "cell": 15,
        "options": ["--value-range", "0,255", "--confidence"],
    },
    "two of 80 classes": {"size": (1100, 1500), "classes": 80, "cell": 5, "images": 2},
    "OCRNet": {"size": (700, 1300), "system": "ocrnet", "encoder": "resnet18", "cell": 30},
}
"""Shapes that were measured last, with the constants as they are."""


def write_image(path: Path, shape: dict[str, Any]) -> Path:
    """A raster of squares of even colour, or noise where they are a pixel large."""
    (height, width), bands = shape["size"], shape.get("bands", 3)
    cell, dtype = shape.get("cell", 64), shape.get("dtype", "uint8")
    profile = {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": bands,
        "dtype": dtype,
        "crs": "EPSG:32632",
        "transform": from_origin(500_000, 5_400_000, 0.2, 0.2),
        "compress": "deflate",
        "zlevel": 1,
        **shape.get("profile", _TILED),
    }
    rng = np.random.default_rng(0)
    rows = profile["blockysize"] if profile["blockysize"] > 512 else 2048
    with rasterio.open(path, "w", **profile) as file:
        for top in range(0, height, rows):
            high = min(rows, height - top)
            cells = rng.integers(0, 256, (bands, -(-high // cell), -(-width // cell)))
            strip = cells.astype(dtype).repeat(cell, 1).repeat(cell, 2)[:, :high, :width]
            file.write(strip, window=Window(0, top, width, high))
    return path


def write_model(path: Path, shape: dict[str, Any]) -> Path:
    """A model with random weights for such a raster."""
    classes, bands = shape.get("classes", 6), shape.get("bands", 3)
    torch.manual_seed(0)
    return geoseg.save_model(
        geoseg.create_model(
            shape.get("system", "pixel"),
            encoder=shape.get("encoder"),
            classes=classes,
            in_channels=bands,
        ),
        path,
        classes=[f"class {number}" for number in range(classes)],
        bands=[f"band {number}" for number in range(bands)],
        value_range=(0, 255),
        mean=[120.0] * bands,
        std=[60.0] * bands,
        ground_sampling=shape.get("ground_sampling"),
    )


def plan(folder: Path) -> None:
    """Peak and time on many shapes against the plan, each in a process of its own."""
    for name, shape in {**SHAPES, **OTHERS, **UNSEEN}.items():
        _against_plan(folder / re.sub(r"\W+", "-", name), name, shape)


def _against_plan(work: Path, name: str, shape: dict[str, Any]) -> None:
    images = work / "images"
    images.mkdir(parents=True)
    for number in range(shape.get("images", 1)):
        write_image(images / f"{number}.tif", shape)
    model = write_model(work / "model.safetensors", shape)
    command = [sys.executable, "-m", "geoseg.cli", "predict", str(images)]
    command += ["--model", str(model), "--out", str(work / "out"), "--quiet"]
    numbers = ",".join(map(str, range(1, shape.get("bands", 3) + 1)))
    command += ["--bands", numbers, *shape.get("options", [])]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    report = json.loads((work / "out/report.json").read_text())
    planned, seconds = report["plan"], report["seconds"]
    # What the plan is of: not loading the model, and measuring its window. Stages may overlap.
    stages = sum(seconds[stage] for stage in ("predict", "files", "polygons"))
    took = min(stages, seconds["total"])
    peak = report["peak_memory_bytes"]
    print(
        f"{name:<17} plan {planned['peak_memory_bytes'] / 2**20:6.0f} MiB, peak "
        f"{peak / 2**20:6.0f} MiB, ratio {peak / planned['peak_memory_bytes']:.2f}; "
        f"plan {planned['seconds']:6.1f} s, took {took:6.1f} s, "
        f"ratio {took / max(planned['seconds'], 0.1):.2f}; {seconds}",
        flush=True,
    )
    shutil.rmtree(work)
