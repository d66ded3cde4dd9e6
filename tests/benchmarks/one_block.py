"""A folder of sheets of one block each: worker processes, threads, and the bare forwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from geoseg import scenes
from tests.benchmarks.models import write_model

_SIDE, _SHEETS, _FEW = 896, 40, 4
_FORWARDS = 8
_RUN = """
import json, sys, time

if __name__ == "__main__":
    started = float(sys.argv[5])
    import geoseg
    sheets, model, out, options = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
    data = geoseg.predict(sheets, model, out=out, precision="fp32", **options).data
    ended = time.time()
    import torch
    from tests.benchmarks.one_block import bare_seconds
    measured = {"total": data["seconds"]["total"], "program": ended - started}
    if torch.get_num_threads() == 2:
        measured["bare"] = bare_seconds(model, sheets, data["forwards"])
    print(json.dumps(measured))
"""


def one_block(folder: Path) -> None:
    """40 sheets of one window (896^2), FCN on ResNet-18: 2 workers, a thread, bare forwards."""
    _compare(folder, "fcn")


def one_block_hcnet(folder: Path) -> None:
    """The same with HCNet on ResNet-18."""
    _compare(folder, "hcnet")


def _compare(folder: Path, system: str) -> None:
    model = write_model(folder / f"{system}.safetensors", system, "resnet18", trained=True)
    script = folder / "run.py"
    script.write_text(_RUN)
    sheets = {
        count: _write_sheets(folder / f"{system}-{count}", count) for count in (_FEW, _SHEETS)
    }
    kinds: dict[str, tuple[int, dict[str, int]]] = {
        "1 thread": (1, {}),
        "2 workers": (1, {"workers": 2}),
        "2 threads": (2, {}),
    }
    found: dict[str, dict[int, dict[str, float]]] = {name: {} for name in kinds}
    for count, given in sheets.items():  # the first runs keep a rate, as any first run does
        for name, (threads, options) in kinds.items():
            measured = _run(script, given, model, folder / "out", threads, options)
            found[name][count] = measured
            shown = {key: round(value, 1) for key, value in measured.items()}
            print(f"{system}, {count} sheets, {name}: {shown}", flush=True)
    one, two = (_at_once(model, sheets[_FEW], processes) for processes in (1, 2))
    print(f"{system}, bare forwards, 2 processes at once against 1: ratio {two / one:.2f}")
    alone, workers = found["1 thread"], found["2 workers"]
    both = found["2 threads"][_SHEETS]
    print(
        f"{system}, 1 thread against 2 workers: "
        f"ratio {alone[_SHEETS]['total'] / workers[_SHEETS]['total']:.2f}, without "
        f"their start {_of_one(alone) / _of_one(workers):.2f}, programs from start to end "
        f"{alone[_SHEETS]['program'] / workers[_SHEETS]['program']:.2f}; "
        f"2 threads, total against bare forwards: ratio {both['total'] / both['bare']:.3f}",
        flush=True,
    )


def bare_seconds(model_file: str, sheets: str, forwards: int) -> float:
    """Seconds of so many forwards of a window of the first sheet, in this process.

    A sheet is one window: nothing in the network looks farther than a cell does.
    """
    import numpy as np
    import rasterio
    import torch

    import geoseg
    from geoseg.inference.forward_options import ForwardOptions
    from geoseg.inference.predictor import Predictor

    model = geoseg.load_model(model_file)
    predictor = Predictor(model, ForwardOptions("cpu", "fp32"))
    with rasterio.open(min(Path(sheets).iterdir())) as source:
        pixels = source.read([1, 2, 3], window=rasterio.windows.Window(0, 0, _SIDE, _SIDE))[None]
    valid = np.ones((1, _SIDE, _SIDE), bool)
    x = predictor.normalize(torch.from_numpy(pixels), torch.from_numpy(valid))
    predictor.scores(x)
    before = predictor.seconds
    for _ in range(forwards):
        predictor.scores(x)
    return predictor.seconds - before


def _at_once(model: Path, sheets: Path, processes: int) -> float:
    """Bare forwards a second of so many processes of one thread: what the machine can gain."""
    call = [str(model)] * processes, [str(sheets)] * processes, [_FORWARDS] * processes
    spawn = get_context("spawn")
    with ProcessPoolExecutor(processes, spawn, torch.set_num_threads, (1,)) as pool:
        return processes * _FORWARDS / max(pool.map(bare_seconds, *call))


def _of_one(found: dict[int, dict[str, float]]) -> float:
    """Seconds that one more sheet takes."""
    return (found[_SHEETS]["total"] - found[_FEW]["total"]) / (_SHEETS - _FEW)


def _write_sheets(folder: Path, count: int) -> Path:
    """So many sheets of a town, without nodata, in the three bands of the model."""
    import rasterio

    folder.mkdir()
    for number in range(count):
        image, _ = scenes.render(7, 0, number * _SIDE, _SIDE, _SIDE)
        place = rasterio.transform.from_origin(5e5 + number * _SIDE * 0.2, 5.4e6, 0.2, 0.2)
        profile = {"driver": "GTiff", "width": _SIDE, "height": _SIDE, "count": 3, "dtype": "uint8"}
        with rasterio.open(
            folder / f"{number:02d}.tif",
            "w",
            **profile,
            crs="EPSG:25832",
            transform=place,
            photometric="MINISBLACK",
        ) as file:
            file.write(image[:3])
    return folder


def _run(
    script: Path, sheets: Path, model: Path, out: Path, threads: int, options: dict[str, int]
) -> dict[str, float]:
    """The measures of one run in a process of its own, into a new folder."""
    shutil.rmtree(out, ignore_errors=True)
    done = subprocess.run(
        [
            *(sys.executable, str(script), str(sheets), str(model), str(out)),
            *(json.dumps(options), str(time.time())),
        ],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(Path.cwd())},
    )
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured
