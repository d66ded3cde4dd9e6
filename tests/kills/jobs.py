"""The commands that are killed, with their inputs, and what their outputs are compared by."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import safetensors.numpy
from rasterio.transform import from_origin

import geoseg
from geoseg.places import AnyPath
from geoseg.raster import raster_companions
from geoseg.vector import FORMATS

Snapshot = dict[str, bytes]


@dataclass(frozen=True)
class Job:
    """One command on one folder of outputs."""

    name: str
    run: Callable[[Path], Any]
    """Writes into a folder; the same call continues what was killed."""
    before: Callable[[Path], Any] | None = None
    """Fills the folder with older outputs, which `run` replaces."""
    steady: bool = True
    """Whether each file is either the old one or the new one; a training's grow."""


def write_inputs(folder: Path, side: int) -> None:
    """Two orthophotos, labels, a prediction of class ids, and two models."""
    for name in ("images", "labels", "predicted"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(2):
        coarse = rng.integers(0, 3, (1, side // 16 + 1, side // 16 + 1))
        ids = np.kron(coarse, np.ones((16, 16), int))[:, :side, : side + 9].astype(np.uint8)
        image = np.clip(ids * 70 + rng.integers(1, 40, (3, *ids.shape[1:])), 1, 255)
        wrong = np.where(rng.random(ids.shape) < 0.02, (ids + 1) % 3, ids)
        _write(folder / f"images/tile{index}.tif", image, index)
        _write(folder / f"labels/tile{index}.tif", ids, index)
        _write(folder / f"predicted/tile{index}.tif", wrong, index)
    for seed in range(2):
        net = geoseg.create_model("pixel", classes=3, in_channels=3)
        for parameter in net.parameters():
            value = np.random.default_rng(seed).normal(size=tuple(parameter.shape))
            parameter.data.copy_(parameter.data.new_tensor(value))
        geoseg.save_model(
            net,
            folder / f"model{seed}.safetensors",
            classes=["road", "roof", "grass"],
            bands=["band 1", "band 2", "band 3"],
            value_range=(0, 255),
            mean=[120.0] * 3,
            std=[60.0] * 3,
            window=32,
            overlap=8,
        )


def _write(path: Path, data: np.ndarray, index: int) -> None:
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=len(data),
        height=data.shape[1],
        width=data.shape[2],
        dtype="uint8",
        crs="EPSG:32632",
        transform=from_origin(500_000 + 1000 * index, 5_400_000, 0.5, 0.5),
    ) as file:
        file.write(data.astype(np.uint8))


def predict(inputs: Path, model: int = 0, **options: Any) -> Callable[[Path], Any]:
    """``predict`` of an orthophoto, or of others, with every file that it can write of one."""
    chosen = {"confidence": True, "probabilities": True, "vectors": ",".join(FORMATS)} | options
    weights = inputs / f"model{model}.safetensors"
    source = chosen.pop("sources", inputs / "images/tile0.tif")
    return lambda out: geoseg.predict(source, weights, out=out, device="cpu", **chosen)


def all_jobs(inputs: Path) -> list[Job]:
    """Every command that writes several files, anew and over older outputs, in every format."""
    images, labels, predicted = (inputs / name for name in ("images", "labels", "predicted"))
    classes = ["road", "roof", "grass"]

    def vectorize(suffix: str, index: int, *, overwrite: bool) -> Callable[[Path], Any]:
        raster = predicted / f"tile{index}.tif"
        return lambda out: geoseg.vectorize(raster, out / f"town.{suffix}", overwrite=overwrite)

    def prepare(patch: int, *, overwrite: bool) -> Callable[[Path], Any]:
        return lambda out: geoseg.prepare(
            "folder",
            inputs,
            out,
            images="images",
            labels="labels",
            classes=classes,
            patch=patch,
            split="tiles",
            overwrite=overwrite,
        )

    def train(out: Path) -> Any:
        pair = {"images": str(images / "tile0.tif"), "labels": str(labels / "tile0.tif")}
        val = {"images": str(images / "tile1.tif"), "labels": str(labels / "tile1.tif")}
        config = {
            "data": {"train": [pair], "val": [val], "classes": classes},
            "model": {"system": "pixel", "encoder": None},
            "train": {"steps": 3, "batch": 2, "crop": 32, "validate_every": 2, "log_every": 1,
                      "save_every": 1, "device": "cpu", "workers": 0},
        }  # fmt: skip
        return geoseg.train(config, out=out, resume=True)

    def evaluate(reference: Path, *, errors: bool = False) -> Callable[[Path], Any]:
        pair = predicted / "tile0.tif", reference / "tile0.tif"
        return lambda out: geoseg.evaluate(*pair, classes, out, errors=errors)

    less: dict[str, Any] = {
        "confidence": False,
        "probabilities": False,
        "vectors": "none",
        "overwrite": True,
    }
    together: dict[str, Any] = {"merge": True, "project": True, "stac": True, "vectors": "gpkg,shp"}
    together |= {"sources": images}
    apart: dict[str, Any] = {"sources": images, "vectors": "gpkg", "overwrite": True}
    formats = [
        job
        for suffix in FORMATS
        for job in (
            Job(f"vectorize {suffix}", vectorize(suffix, 0, overwrite=False)),
            Job(
                f"vectorize {suffix} over another",
                vectorize(suffix, 0, overwrite=True),
                vectorize(suffix, 1, overwrite=False),
            ),
        )
    ]
    return [
        Job("predict", predict(inputs)),
        Job("predict over another", predict(inputs, overwrite=True), predict(inputs, model=1)),
        Job("predict less over another", predict(inputs, **less), predict(inputs, model=1)),
        # A merged layer's fingerprint holds the times of its rasters, so that no two are alike.
        Job("predict for a map", predict(inputs, **together | {"merge": False})),
        Job("predict apart over merged", predict(inputs, **apart), predict(inputs, **together)),
        *formats,
        Job("prepare", prepare(48, overwrite=False)),
        Job("prepare over another", prepare(48, overwrite=True), prepare(64, overwrite=False)),
        Job("evaluate", evaluate(labels)),
        Job("evaluate over another", evaluate(labels), evaluate(predicted)),
        Job("evaluate errors", evaluate(labels, errors=True)),
        Job(
            "evaluate errors over others",
            evaluate(labels, errors=True),
            evaluate(predicted, errors=True),
        ),
        Job("evaluate over errors", evaluate(labels), evaluate(labels, errors=True)),
        Job("train", train, steady=False),
    ]


def snapshot(folder: Path) -> Snapshot:
    """All files below a folder; in those that hold times, only what does not depend on them."""
    return {
        str(path.relative_to(folder)): _timeless(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() or not any(path.iterdir())
    }


def _timeless(path: Path) -> bytes:
    if path.is_dir():
        return b"an empty folder"
    content = path.read_bytes()
    if content == b"torn":
        return content
    if path.name in ("report.json", "metrics.json"):
        document = json.loads(content)
        kept = ("path", "outputs", "fingerprints", "pixels", "error")
        for entry in document.get("inputs", ()):
            for key in entry.keys() - set(kept):
                del entry[key]
        for key in ("seconds", "plan", "forwards", "windows", "peak_memory_bytes"):
            document.pop(key, None)
        # The folder of a disturbed run has another name.
        return re.sub(r"/run\d+/", "/run/", json.dumps(document)).encode()
    if path.name == "metrics.csv":
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        return json.dumps([row | {"seconds": ""} for row in rows]).encode()
    if path.name == "last.safetensors":  # the order of the header's entries is not fixed
        tensors = safetensors.numpy.load(content)
        return b"".join(name.encode() + tensors[name].tobytes() for name in sorted(tensors))
    return content


def torn_outputs(found: Snapshot, old: Snapshot, new: Snapshot) -> list[str]:
    """Files under their final names that are neither those of the old run nor those of the new."""
    visible = {name for name in found if not any(part[0] == "." for part in Path(name).parts)}
    known = old.keys() | new.keys()
    torn = []
    for name in sorted(visible & known):
        group = [name, *(other for other in _companions(name) if other in known)]
        states = [[run.get(each) for each in group] for run in (old, new)]
        is_companion = any(name in _companions(other) for other in known)
        # A companion alone is not a file; it is judged with the file that it belongs to.
        if not is_companion and [found.get(each) for each in group] not in states:
            torn.append(name)
    return torn


def _companions(name: str) -> list[str]:
    path = Path(name)
    if path.name == "metrics.json":
        others: Sequence[AnyPath] = [
            path.with_name(each) for each in ("classes.csv", "confusion.png", "report.html")
        ]
    elif path.suffix in (".tif", ".png"):
        others = raster_companions(path)
    else:
        kind = FORMATS.get(path.suffix.removeprefix("."))
        others = [] if kind is None else kind.companions(path)
    return [str(other) for other in others]
