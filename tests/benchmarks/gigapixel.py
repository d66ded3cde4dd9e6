"""A gigapixel with a million regions, predicted whole with its polygons: memory, and the stages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

from tests.benchmarks.models import write_model

_SIZE = 32_768
_CELL = 22
"""Of a square of one colour, pixels: neighbours of one class are one region."""


def gigapixel(folder: Path) -> None:
    """`pixel` on 32,768 x 32,768 with a GeoPackage of about 10^6 polygons: peak of the process."""
    measure(folder, _SIZE)


def gigapixel_clean(folder: Path) -> None:
    """The same with its squares that stand alone absorbed and borders simplified, in 1.5 GiB."""
    least = f"{_CELL**2 + 1}px"
    options = ("--min-area", least, "--simplify", "1px", "--max-memory", "1.5GiB")
    measure(folder, _SIZE, *options)


def measure(folder: Path, size: int, *options: str) -> None:
    """Print the peak of `geoseg predict` on a square raster, its plan's and its stages."""
    image = write_squares(folder / f"squares-{size}.tif", size)
    model = write_model(folder / "pixel.safetensors", "pixel", None)
    out = folder / f"gigapixel-{size}"
    command = [sys.executable, "-m", "geoseg.cli", "predict", str(image), "--model", str(model)]
    subprocess.run([*command, "--out", str(out), "--quiet", *options], check=True)
    report = json.loads((out / "report.json").read_text())
    found = report["inputs"][0]
    print(
        f"{size}^2, {polygons_of(out):,} polygons: peak "
        f"{report['peak_memory_bytes'] / 2**30:.2f} GiB, plan "
        f"{report['plan']['peak_memory_bytes'] / 2**30:.2f} GiB; {found['seconds']}",
        flush=True,
    )


def polygons_of(out: Path) -> int:
    """Features of the only GeoPackage in a folder of outputs."""
    import pyogrio

    (path,) = out.glob("*.gpkg")
    features: int = pyogrio.read_info(path, layer=path.stem)["features"]
    return features


def write_squares(path: Path, size: int, cell: int = _CELL) -> Path:
    """A tiled, compressed raster of squares of random colours, written strip by strip."""
    place = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_400_000, 0.2, 0.2)}
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "tiled": True, "blockysize": 512}
    kind = {**profile, "blockxsize": 512, "compress": "zstd", "bigtiff": "if_safer"}
    rng = np.random.default_rng(0)
    squares = rng.integers(1, 256, (3, -(-size // cell), -(-size // cell)), np.uint8)
    across = np.arange(size) // cell
    with rasterio.open(path, "w", height=size, width=size, **kind, **place) as file:
        for top in range(0, size, 512):
            rows = np.arange(top, min(top + 512, size)) // cell
            window = Window(0, top, size, len(rows))
            file.write(squares[:, rows][:, :, across], window=window)
    return path
