"""Servers: named by the user, led to by files, and asked only with leave."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from rasterio.shutil import copy

import geoseg
from geoseg.cli import cli
from geoseg.errors import GeosegError
from geoseg.raster import parse_crs
from tests.fixtures.server import Server

Make = Callable[..., Path]
NAMES = ["{url}/x.tif", "/vsicurl/{url}/x.tif", "s3://bucket/x.tif", "/vsizip//vsicurl/{url}/x.zip"]


@pytest.mark.parametrize("name", NAMES)
def test_a_server_that_is_named_is_refused_in_one_line_but_for_rasters(
    server: Server,
    make_raster: Make,
    model_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    image, there = str(make_raster("a.tif", bands=1)), name.format(url=server.url)
    model = str(model_file)
    for call in (
        ["predict", image, "--model", there, "--out", "out"],
        # Into buckets it writes.
        *([] if there[:3] == "s3:" else [["predict", image, "--model", model, "--out", there]]),
        ["vectorize", image, "--out", f"{there}.gpkg"],
        ["train", there, "--out", "out"],
        ["compare", there, "--out", "out"],
        ["evaluate", there, image, "--classes", "isprs", "--out", "out"],
        ["evaluate", image, there, "--classes", "isprs", "--out", "out"],
        ["evaluate", image, image, "--classes", there, "--out", "out"],
        ["prepare", "folder", there, "out", "--classes", "isprs"],
        ["prepare", "folder", image, "out", "--classes", "isprs", "--labels", there],
        ["demo", "--out", there],
    ):
        result = CliRunner().invoke(cli, call)
        assert result.exit_code == 2, call
        assert len(result.stderr.splitlines()) == 1, (call, result.stderr)
        line = result.stderr.strip()
        assert "is on a server or in an archive" in line, call
        assert not {"http:", "s3:", "out"} & set(os.listdir()), call
        if "://" in name and not name.startswith("/"):
            assert line.startswith(f"geoseg: {there}"), call
    assert not server.was_asked()


def test_a_config_may_not_name_servers_either(
    server: Server, tmp_path: Path, config: dict[str, Any]
) -> None:
    there = f"{server.url}/x.tif"
    for change in (
        {"data": config["data"] | {"train": {"images": there, "labels": there}}},
        {"model": {"system": "pixel", "start_from": f"{server.url}/m.safetensors"}},
    ):
        with pytest.raises(GeosegError, match=f"{server.url}/.*: is on a server"):
            geoseg.train(config | change, out=tmp_path / "run")
    assert not server.was_asked()


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_vrt_leads_to_a_server_with_leave_alone(
    server: Server, make_raster: Make, model_file: Path, tmp_path: Path, workers: int
) -> None:
    here = make_raster("x.tif")
    os.link(here, server.folder / "x.tif")
    there = f"{server.url}/x.tif"
    geoseg.predict(here, model_file, out=tmp_path / "o")
    vrt = tmp_path / "a.vrt"
    with rasterio.open(there) as image:
        copy(image, vrt, driver="VRT")
    if workers == 0:
        asked = server.log.read_text()
        with pytest.raises(GeosegError, match="--allow-remote"):
            geoseg.predict(vrt, model_file, out=tmp_path / "out")
        assert server.log.read_text() == asked
    options = [*("--model", str(model_file)), "--out", str(tmp_path / "out"), "--allow-remote"]
    if workers:
        options += ["--workers", str(workers)]
    program = [sys.executable, "-m", "geoseg.cli"]
    subprocess.run([*program, "predict", str(vrt), *options], check=True, capture_output=True)
    with (
        rasterio.open(tmp_path / "out/a_classes.tif") as found,
        rasterio.open(tmp_path / "o/x_classes.tif") as expected,
    ):
        assert np.array_equal(found.read(), expected.read())


@pytest.mark.parametrize("form", ["{url}/a.prj", " {url}/a.prj", "/vsicurl/{url}/a.prj"])
def test_no_coordinate_system_is_fetched(server: Server, form: str, model_file: Path) -> None:
    crs = form.format(url=server.url)
    with pytest.raises(geoseg.GeosegError, match="is not looked up on servers or in archives"):
        parse_crs(crs)
    call = ["predict", "a.tif", "--model", str(model_file), "--out", "out", "--crs", crs]
    result = CliRunner().invoke(cli, call)
    assert result.exit_code == 2
    assert not server.was_asked()
