"""Predict a folder on a Dask cluster: a scheduler and two workers, each a process of its own.

python examples/04_on_a_cluster.py [FOLDER] [SIZE]

On a real cluster the three are started on its machines, as docs/scale.md shows; the call of
`geoseg.predict` stays as it is here.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import geoseg
from geoseg import scenes

MODEL = Path(geoseg.__file__).parent / "data" / "demo.safetensors"
"""The model that comes with geoseg."""


def start(stack: ExitStack, kind: str, *options: str) -> None:
    """Start a scheduler or a worker, which ends with `stack`."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard", *options]
    process = stack.enter_context(subprocess.Popen(command, stderr=subprocess.DEVNULL))  # noqa: S603
    stack.callback(process.terminate)


def main(folder: Path, size: int) -> None:
    """Write two scenes, start a cluster, predict them there, and print who did it."""
    for name, seed in (("north", 900), ("south", 901)):
        scenes.write_scene(folder / "ortho" / f"{name}.tif", size, seed=seed)
    file = (folder / "scheduler.json").absolute()
    with ExitStack() as stack:
        local = ("--host", "127.0.0.1")
        start(stack, "scheduler", *local, "--port", "0", "--scheduler-file", str(file))
        while not file.exists():
            time.sleep(0.1)
        for _ in range(2):
            one_block = ("--nthreads", "1", "--no-nanny", "--scheduler-file", str(file))
            start(stack, "worker", *local, *one_block)
        report = geoseg.predict(
            folder / "ortho", MODEL, out=folder / "predicted", bands=[1, 2, 3], scheduler=file
        )
    print(report)
    for worker in report.data["workers"]:
        print(f"{worker['address']} on {worker['host']}: {worker['device']}, {worker['precision']}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default="cluster", help="(%(default)s)")
    parser.add_argument(
        "size", type=int, nargs="?", default=512, help="side of a scene, pixels (%(default)s)"
    )
    chosen = parser.parse_args()
    try:
        main(chosen.folder, chosen.size)
    except geoseg.GeosegError as error:
        parser.error(str(error))
