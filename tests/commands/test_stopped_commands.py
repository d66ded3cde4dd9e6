"""Commands as programs of their own, stopped by a signal while they work; see `test_stopping`.

`predict` and `train`, which go on where they stopped, are in the tests of these commands.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Make = Callable[..., Path]
COMMANDS = ("prepare", "evaluate", "vectorize")
GATED = (
    ("prepare", [signal.SIGTERM]),
    ("evaluate", [signal.SIGINT] * 2),
    ("vectorize", [signal.SIGINT]),
)
"""Each command and each way of stopping it once; the rest are for `make test-all`."""
AGAIN = {
    "prepare": "the same command continues where this run stopped",
    "evaluate": "nothing was written; run it again",
    "vectorize": "nothing was written; run it again",
}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


def inputs(make_raster: Make, side: int, count: int) -> Path:
    """Images, class rasters of noise, and the classes of both."""
    rng = np.random.default_rng(0)
    for number in range(count):
        labels = rng.integers(0, 2, (1, side, side), np.uint8)
        make_raster(f"images/t{number}.tif", data=labels + 1)
        for kind in ("labels", "predicted"):
            path = make_raster(f"{kind}/t{number}.tif", data=labels)
    classes = path.parents[1] / "classes.yaml"
    classes.write_text("classes: [dark, bright]\n")
    return path.parents[1]


def arguments(command: str, folder: Path) -> list[str]:
    classes, out = ["--classes", f"{folder}/classes.yaml"], f"{folder}/out"
    return {
        "prepare": ["folder", str(folder), out, "--split", "all", *classes, "--quiet"],
        "evaluate": [f"{folder}/predicted", f"{folder}/labels", *classes, "--out", out, "--quiet"],
        "vectorize": [*map(str, sorted(folder.glob("labels/t1*"))), "--out", f"{out}/all.gpkg"],
    }[command]


def program(command: str, folder: Path) -> list[str]:
    return [sys.executable, "-m", "geoseg.cli", command, *arguments(command, folder)]


def allow_interrupts() -> None:
    """A shell's background jobs ignore Ctrl-C, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("command", "signals"),
    [
        pytest.param(
            command, signals, marks=[] if (command, signals) in GATED else pytest.mark.slow
        )
        for command in COMMANDS
        for signals in ([signal.SIGTERM], [signal.SIGINT], [signal.SIGINT] * 2)
    ],
)
def test_a_stopped_command_says_one_line_leaves_nothing_torn_and_can_be_run_again(
    make_raster: Make, command: str, signals: list[signal.Signals]
) -> None:
    folder = inputs(make_raster, 256, 40)
    process = subprocess.Popen(
        program(command, folder), stderr=subprocess.PIPE, text=True, preexec_fn=allow_interrupts
    )
    deadline = time.monotonic() + 120
    while not list((folder / "out").rglob(".geoseg/*lock")) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)  # until it has begun
    for number in signals:
        process.send_signal(number)
        time.sleep(0.05)
    _, errors = process.communicate(timeout=60)
    code = {signal.SIGINT: 130, signal.SIGTERM: 143}[signals[0]]
    assert process.returncode == code
    assert errors == f"geoseg: interrupted; {AGAIN[command]}\n"
    final = ("manifest.json", "metrics.json", "all.gpkg")
    assert not [name for name in final if (folder / "out" / name).exists()]
    again = subprocess.run(program(command, folder), capture_output=True, text=True, check=False)
    assert (again.returncode, again.stderr) == (0, "")
    assert [name for name in final if (folder / "out" / name).exists()]
    assert not list((folder / "out").rglob(".*.geoseg")), "nothing is left of the first run"
