"""What is not forward, of one large raster: does it spread over the cores, and in the run too?

    in the run    `geoseg predict`: blocks, then the files (class raster, counts, GeoPackage)
    alone         the same command once its parts are there and its files are not: no forward

The mark, "at most 1.2 times the same work done alone", is read twice: the files' wall clock in the
run against that of the same files alone, on the same cores; and, so that "alone" is no way out, the
files on two cores against half of the time that they take on one.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.gigapixel import polygons_of, write_squares
from tests.benchmarks.models import write_model

_SIZE = 16_384
_RUN = """
import json, os, sys
from unittest import mock
os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: int(sys.argv[4])]))
import geoseg
from geoseg.inference.parts import PartFolder
image, model, out = sys.argv[1:4]
with mock.patch.object(PartFolder, "remove"):
    data = geoseg.predict(image, model, out=out, preview=False).data
print(json.dumps({"forwards": data["forwards"], **data["inputs"][0]["seconds"]}))
"""


def finishing(folder: Path) -> None:
    """`pixel` on 16,384 x 16,384 with 270,000 polygons: the files' time on one core and on two."""
    measure(folder, _SIZE)


def measure(folder: Path, size: int) -> None:
    """Print both ratios for a square raster."""
    image = write_squares(folder / f"squares-{size}.tif", size)
    model = write_model(folder / "pixel.safetensors", "pixel", None)
    out = folder / f"finishing-{size}"
    run = _files(image, model, out, 2)
    print(f"in the run: {run}, {polygons_of(out):,} polygons", flush=True)
    made = _digests(out)
    alone = {}
    for cores in (2, 1):
        for path in out.glob("squares-*"):
            path.unlink()
        took = _files(image, model, out, cores)
        assert took["forwards"] == 0
        assert _digests(out) == made
        alone[cores] = took["files"]
        print(f"alone, cores {cores}: {took}", flush=True)
    print(
        f"{size}^2, the files: in the run against alone: ratio {run['files'] / alone[2]:.2f}; "
        f"two cores against half of one: ratio {2 * alone[2] / alone[1]:.2f}",
        flush=True,
    )


def _digests(out: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.glob("*.tif")}


def _files(image: Path, model: Path, out: Path, cores: int) -> dict[str, float]:
    """Seconds of each stage, in a process of its own that has so many cores for two threads."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(image), str(model), str(out), str(cores)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "2"},
    )
    seconds: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return seconds
