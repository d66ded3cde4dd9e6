"""`--max-memory`: the peak of runs, each in a process of its own, against what they were given."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyproj
from rasterio import Affine
from rasterio.transform import from_origin

from tests.benchmarks.planning import write_image, write_model

BUDGETS = ("900MiB", "1000MiB", "1100MiB", "1200MiB", "1400MiB", "1700MiB", "2GiB", "3GiB")
SHAPES: dict[str, dict[str, Any]] = {
    "2 classes": {"size": (560, 20_000), "classes": 2, "cell": 12},
    "19 classes": {"size": (560, 20_000), "classes": 19, "cell": 12},
    "150 classes": {"size": (560, 6000), "classes": 150, "cell": 12},
}
KINDS: dict[str, tuple[str, ...]] = {
    "rasters": ("--bands", "1,2,3", "--vectors", "none", "--confidence", "--probabilities"),
    "vectors": ("--bands", "1,2,3", "--vectors", "gpkg,fgb"),
    "clean": ("--bands", "1,2,3", "--vectors", "gpkg", "--min-area", "30px", "--simplify", "1px"),
}
_PLACE = from_origin(500_000, 5_400_000, 0.2, 0.2)
_TILES = {"tiled": True, "blockxsize": 512, "blockysize": 512}


def run_within(image: Path, model: Path, out: Path, budget: str, options: Iterable[str]) -> str:
    """One run: its peak against its budget, or that it was refused.

    Args:
        image: a file or a folder of them.
        model: the model's file.
        out: for the outputs.
        budget: as of `--max-memory`.
        options: others.

    Raises:
        AssertionError: it took more than it was given, or ended in another way.
    """
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "geoseg.cli", "predict", str(image), "--model", str(model)]
    command += ["--out", str(out), "--max-memory", budget, *options]
    done = subprocess.run([*command, "--quiet"], capture_output=True, text=True)
    if done.returncode == 2 and "needs at least" in done.stderr:
        return done.stderr.split("at least ")[1].split()[0] + " needed"
    assert done.returncode == 0, done.stderr
    report = json.loads((out / "report.json").read_text())
    peak, plan = report["peak_memory_bytes"], report["plan"]
    text = (
        f"{peak / plan['max_memory_bytes']:.2f} ({peak / 2**20:.0f} MiB, planned "
        f"{plan['peak_memory_bytes'] / 2**20:.0f}; {plan['forwards_per_window']} forwards)"
    )
    assert peak <= plan["max_memory_bytes"], f"{budget}: {text} {plan['choice']}"
    return text


def budgets(folder: Path) -> None:
    """Peak over budget of 8 budgets, 2 to 150 classes, rasters, polygons and clean polygons."""
    for name, shape in SHAPES.items():
        image = write_image(folder / "image.tif", shape)
        model = write_model(folder / "model.safetensors", shape)
        for kind, options in KINDS.items():
            _run_all(f"{name:<11} {kind:<8}", image, model, folder / "out", options)


def budgets_sources(folder: Path) -> None:
    """The same of sources that are made of others: resampled, reprojected, sheets, stack, merge."""
    for name, make in SOURCES.items():
        place = folder / name
        place.mkdir()
        shape, options = make(place)
        model = write_model(folder / f"{name}.safetensors", {"classes": 19, **shape})
        bands = ",".join(str(band + 1) for band in range(shape.get("bands", 3)))
        options = ("--bands", bands, "--confidence", *options)
        _run_all(f"{name:<11}", place, model, folder / "out", options)
        shutil.rmtree(place)


def _run_all(name: str, image: Path, model: Path, out: Path, options: Iterable[str]) -> None:
    for budget in BUDGETS:
        try:
            text = run_within(image, model, out, budget, options)
        except AssertionError as error:
            text = f"TOO MUCH: {error}"
        print(f"{name} {budget:>8}: {text}", flush=True)


def _sheet(path: Path, size: tuple[int, int], moved: Affine, crs: str = "EPSG:32632") -> Path:
    place = {"crs": crs, "transform": _PLACE @ moved}
    return write_image(path, {"size": size, "cell": 12, "profile": {**_TILES, **place}})


def _resampled(folder: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Twice as fine as the model; probabilities, too, are brought back."""
    _sheet(folder / "fine.tif", (1120, 40_000), Affine.identity())
    return {"ground_sampling": 0.4}, ("--resample", "--probabilities")


def _coarse(folder: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Half as fine as the model."""
    _sheet(folder / "coarse.tif", (400, 10_000), Affine.identity())
    return {"ground_sampling": 0.1}, ("--resample",)


def _reprojected(folder: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A sheet of another zone, which lies across the grid of the first."""
    _sheet(folder / "a.tif", (560, 9000), Affine.identity())
    way = pyproj.Transformer.from_crs(32632, 32633, always_xy=True)
    x, y = way.transform(*(_PLACE @ (8900, 40)))
    moved = ~_PLACE @ from_origin(x, y, 0.2, 0.2)
    _sheet(folder / "b.tif", (560, 9000), moved, "EPSG:32633")
    return {"ground_sampling": 0.2}, ("--mosaic", "one", "--resample")


def _mosaic(folder: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    for number in range(8):
        _sheet(folder / f"{number}.tif", (560, 2600), Affine.translation(2500 * number, 0))
    return {}, ("--mosaic", "sheets")


def _stack(folder: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A surface model of half the pixels beside the image."""
    _sheet(folder / "a.tif", (560, 18_000), Affine.identity())
    place = {"crs": "EPSG:32632", "transform": _PLACE @ Affine.scale(2)}
    surface = {"size": (280, 9000), "bands": 1, "dtype": "float32", "profile": _TILES | place}
    write_image(folder / "a_dsm.tif", surface)
    return {"bands": 4}, ("--stack", "{stem}_dsm.tif", "--value-range", "0,255")


def _merged(folder: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    for number in range(8):
        _sheet(folder / f"{number}.tif", (560, 2600), Affine.translation(2500 * number, 0))
    return {}, ("--merge", "--vectors", "gpkg,fgb")


SOURCES: dict[str, Callable[[Path], tuple[dict[str, Any], tuple[str, ...]]]] = {
    "resampled": _resampled,
    "coarse": _coarse,
    "reprojected": _reprojected,
    "mosaic": _mosaic,
    "stack": _stack,
    "merged": _merged,
}
"""What writes the inputs; the shape of the model that they need, and options."""
