"""Folders of many small sheets: what a run does once, and what it does not do."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rasterio
from click.testing import CliRunner
from rasterio.transform import from_origin

import geoseg
from geoseg.cli import cli
from geoseg.inference import options, sheet
from geoseg.progress import Progress
from geoseg.raster import fingerprint

pytestmark = pytest.mark.usefixtures("two_threads")


class Notes(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def sheets(make_raster: Callable[..., Path], tmp_path: Path) -> Path:
    """A folder of three sheets of 20 x 24 pixels."""
    for index in range(3):
        make_raster(f"sheets/{index}.tif", height=20, width=24, seed=index)
    return tmp_path / "sheets"


def test_previews_of_many_inputs_are_left_out_with_a_line_that_says_so(
    sheets: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "MOST_PREVIEWS", 2)
    notes, out = Notes(), tmp_path / "out"
    geoseg.predict(sheets, model_file, out=out, vectors="none", progress=notes)
    assert not list(out.glob("*_preview.png"))
    assert [line for line in notes.lines if "--preview draws them" in line]
    geoseg.predict(sheets, model_file, out=out, vectors="none", preview=True)
    assert len(list(out.glob("*_preview.png"))) == 3


def test_only_of_a_single_raster_files_are_begun_before_its_network_has_ended(
    sheets: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[bool] = []
    tell = sheet.tell_raster

    def telling(*arguments: Any, beside: bool) -> Any:
        begun.append(beside)
        return tell(*arguments, beside=beside)

    monkeypatch.setattr(sheet, "tell_raster", telling)
    geoseg.predict(sheets / "0.tif", model_file, out=tmp_path / "one", vectors="none")
    assert begun == [True]
    geoseg.predict(sheets, model_file, out=tmp_path / "all", vectors="none")
    assert begun == [True, False, False, False]


def test_a_source_is_opened_at_most_four_times(
    sheets: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: Counter[Path] = Counter()
    plain = rasterio.open

    def opening(path: Any, *arguments: Any, **options: Any) -> Any:
        opened[Path(path)] += 1
        return plain(path, *arguments, **options)

    monkeypatch.setattr(rasterio, "open", opening)
    # Files that were written just now are compared once more.
    now = time.time_ns
    monkeypatch.setattr(fingerprint.time, "time_ns", lambda: now() + 10 * 10**9)
    geoseg.predict(sheets, model_file, out=tmp_path / "out", preview=True)
    assert set(opened) >= set(sheets.iterdir())
    assert max(opened[sheet] for sheet in sheets.iterdir()) <= 4


def test_a_dry_run_of_a_million_by_a_million_pixels_counts_its_windows(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever made or wrote down each of its windows would never end."""
    room = shutil.disk_usage(tmp_path)._replace(free=10**13)
    monkeypatch.setattr("shutil.disk_usage", lambda path: room)
    path, out = tmp_path / "sparse.tif", tmp_path / "out"
    profile = {"count": 3, "height": 10**6, "width": 10**6, "dtype": "uint8", "crs": "EPSG:32632"}
    blocks = {"tiled": True, "blockxsize": 8192, "blockysize": 8192, "compress": "deflate"}
    place = from_origin(500_000, 5_400_000, 0.5, 0.5)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        BIGTIFF="YES",
        SPARSE_OK=True,
        transform=place,
        **profile,
        **blocks,
    ):
        pass
    command = ["predict", str(path), "--model", str(model_file), "--out", str(out)]
    result = CliRunner().invoke(cli, [*command, "--dry-run", "--window", "32", "--overlap", "8"])
    assert result.exit_code == 0, result.stderr
    # Steps of 24 pixels: 41,667 windows along each side.
    assert f"plan: 1 raster, 1000000.0 Mpx, {41_667**2:,} windows" in result.stderr
    assert result.stdout == "dry run: nothing was written\n"
    assert not out.exists()
