"""What a raster on a server costs, against the same file here."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import rasterio
from rasterio.shutil import copy

import geoseg
from tests.benchmarks.imagery import write_imagery
from tests.benchmarks.models import write_model
from tests.fixtures.ranges import serving

_OPTIONS = {"vectors": "none", "preview": False, "precision": "fp32", "device": "cpu"}
_LATENCY = 0.02
"""Seconds before each answer."""


def remote(folder: Path) -> None:
    """A COG on a server of 20 ms latency against the file: wall clock, requests, the same bytes."""
    served = folder / "served"
    served.mkdir()
    with serving(served) as server:
        server.behave(latency=_LATENCY)
        for side, system, encoder in ((6144, "pixel", None), (2048, "fcn", "resnet18")):
            plain = write_imagery(folder / f"plain-{side}.tif", side)
            here = folder / f"remote-{side}.tif"
            copy(plain, here, driver="COG", compress="deflate", blocksize=512)
            shutil.copy(here, served)
            model = write_model(folder / f"{system}.safetensors", system, encoder)
            seconds: dict[str, list[float]] = {"here": [], "there": []}
            server.requests()
            for repeat in range(2):
                for name, source in (("here", here), ("there", f"{server.url}/{here.name}")):
                    started = time.perf_counter()
                    out = folder / f"{system}-{name}-{repeat}"
                    report = geoseg.predict(source, model, out=out, **_OPTIONS)
                    assert report.exit_code == 0, report.data["failures"]
                    seconds[name].append(time.perf_counter() - started)
            with (
                rasterio.open(folder / f"{system}-here-0/{here.stem}_classes.tif") as one,
                rasterio.open(folder / f"{system}-there-0/{here.stem}_classes.tif") as other,
            ):
                same = bool((one.read() == other.read()).all())
            least = {name: min(each) for name, each in seconds.items()}
            print(
                f"{system}, {side}^2: {least['there'] / least['here']:.3f} times the wall clock "
                f"({least['there']:.2f} s, {least['here']:.2f} s), "
                f"{len(server.requests()) // 2} requests, the same pixels: {same}",
                flush=True,
            )
