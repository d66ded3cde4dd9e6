"""The benchmarks behind the numbers in ``docs/performance.md``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch

import geoseg
from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.predictor import Predictor, choose_device, choose_precision
from tests.benchmarks.assembly import assembly
from tests.benchmarks.budgets import budgets, budgets_sources
from tests.benchmarks.clean import clean
from tests.benchmarks.costs import costs
from tests.benchmarks.country import country
from tests.benchmarks.dilated import dilated
from tests.benchmarks.finishing import finishing
from tests.benchmarks.folding import folding
from tests.benchmarks.gigapixel import gigapixel, gigapixel_clean
from tests.benchmarks.half import half
from tests.benchmarks.halos import halos
from tests.benchmarks.heads import heads
from tests.benchmarks.imagery import write_imagery
from tests.benchmarks.labels import labels
from tests.benchmarks.models import write_model
from tests.benchmarks.one_block import one_block, one_block_hcnet
from tests.benchmarks.planning import plan
from tests.benchmarks.polygons import polygons, polygons_large
from tests.benchmarks.real_quality import shared_real
from tests.benchmarks.remote import remote
from tests.benchmarks.right_angles import right_angles
from tests.benchmarks.sharing import local_speed, shared_quality, shared_speed
from tests.benchmarks.sheets import sheets
from tests.benchmarks.sources import area_of_interest, mosaic_of_nine, mosaic_plan, resampling
from tests.benchmarks.startup import startup
from tests.benchmarks.stitching import stitching
from tests.benchmarks.thousands import thousands
from tests.benchmarks.throughput import throughput_pixel, throughput_plain, throughput_resnet18
from tests.benchmarks.wide import wide
from tests.benchmarks.wrapped import wrap
from tests.benchmarks.writing import writing, writing_many


def _predict(image: Path, model: Path, out: Path, **options: object) -> dict[str, Any]:
    return geoseg.predict(image, model, out=out, **options).data


def overhead(folder: Path) -> None:
    """HCNet on ResNet-18, 4096 x 4096, with polygons: total against the forward of its windows."""
    image = write_imagery(folder / "4096.tif", 4096)
    file = write_model(folder / "hcnet.safetensors", "hcnet", "resnet18")
    data = _predict(image, file, folder / "overhead")
    model = geoseg.load_model(file)
    device = choose_device("auto")
    predictor = Predictor(model, ForwardOptions(str(device), choose_precision("auto", device)))
    with rasterio.open(image) as source:
        pixels = source.read(window=rasterio.windows.Window(0, 0, 512, 512))[None]
    valid = np.ones((1, 512, 512), bool)
    x = predictor.normalize(torch.from_numpy(pixels), torch.from_numpy(valid)).to(device)
    predictor.scores(x)
    before = predictor.seconds
    for _ in range(data["forwards"]):
        predictor.scores(x)
    bare = predictor.seconds - before
    print(
        f"total {data['seconds']['total']:.1f} s, "
        f"bare forward of {data['forwards']} windows {bare:.1f} s, "
        f"ratio {data['seconds']['total'] / bare:.3f}; stages {data['seconds']}",
        flush=True,
    )


def precision_resnet50(folder: Path) -> None:
    """`--precision auto` against fp32 as torch runs it, HCNet on ResNet-50, 2048 x 2048."""
    image = write_imagery(folder / "2048.tif", 2048)
    model = write_model(folder / "hcnet50.safetensors", "hcnet", "resnet50")
    seconds = {}
    for precision in ("fp32", "auto"):
        data = _predict(
            image, model, folder / f"precision-{precision}", precision=precision, vectors="none"
        )
        seconds[precision] = data["seconds"]["total"]
        print(precision, data["options"]["precision"], data["seconds"], flush=True)
    print(f"ratio {seconds['fp32'] / seconds['auto']:.2f}", flush=True)


def memory(folder: Path) -> None:
    """Peak memory of `pixel` on 5,000 and 20,000 squared, each in a process of its own."""
    model = write_model(folder / "pixel.safetensors", "pixel", None)
    peaks = []
    for size in (5000, 20_000):
        image = write_imagery(folder / f"{size}.tif", size)
        out = folder / f"memory-{size}"
        command = [
            sys.executable,
            "-m",
            "geoseg.cli",
            "predict",
            str(image),
            "--model",
            str(model),
            "--out",
            str(out),
        ]
        subprocess.run([*command, "--vectors", "none", "--quiet"], check=True)
        report = json.loads((out / "report.json").read_text())
        peaks.append(report["peak_memory_bytes"] / 2**30)
        planned = report["plan"]["peak_memory_bytes"] / 2**30
        print(
            f"{size}^2: peak {peaks[-1]:.2f} GiB, plan {planned:.2f} GiB, {report['seconds']}",
            flush=True,
        )
    print(f"ratio {peaks[1] / peaks[0]:.2f}", flush=True)


ALL: dict[str, Callable[[Path], None]] = {
    benchmark.__name__: benchmark
    for benchmark in (
        throughput_pixel,
        throughput_resnet18,
        throughput_plain,
        overhead,
        precision_resnet50,
        half,
        memory,
        wide,
        plan,
        budgets,
        budgets_sources,
        polygons,
        polygons_large,
        clean,
        right_angles,
        wrap,
        writing,
        writing_many,
        startup,
        heads,
        dilated,
        folding,
        stitching,
        labels,
        assembly,
        finishing,
        gigapixel,
        gigapixel_clean,
        sheets,
        one_block,
        one_block_hcnet,
        thousands,
        country,
        mosaic_of_nine,
        area_of_interest,
        resampling,
        mosaic_plan,
        remote,
        costs,
        halos,
        shared_quality,
        shared_real,
        shared_speed,
        local_speed,
    )
}
