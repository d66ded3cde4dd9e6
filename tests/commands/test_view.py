"""The command that shows a run as a map."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

import geoseg
from geoseg.commands import view
from geoseg.errors import ConfigError


@pytest.mark.slow
def test_it_says_where_the_map_is_and_ctrl_c_ends_it_in_order(
    make_raster: Callable[..., Path], model_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    geoseg.predict(make_raster(), model_file, out=out, preview=False)
    program = [sys.executable, "-m", "geoseg.cli", "view", str(out), "--no-browser"]
    with subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        url = running.stderr.readline().split()[-1]
        with urllib.request.urlopen(url) as answer:
            assert b"<canvas" in answer.read() or answer.status == 200
        running.send_signal(signal.SIGINT)
        said, _ = running.communicate(timeout=60)
    assert running.returncode == 0
    assert said == f"stopped; {out} is as it was\n"


def test_a_bucket_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="s3://b/out: is a bucket; copy"):
        view.run("s3://b/out")
    with pytest.raises(ConfigError, match="holds no report"):
        view.run(tmp_path)
