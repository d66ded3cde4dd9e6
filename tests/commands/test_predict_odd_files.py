"""Folders with what cannot be used, in narrow surroundings: each is named, the others are done."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rasterio.transform import from_origin

from geoseg.cli import cli

Make = Callable[..., Path]
posix = pytest.mark.skipif(sys.platform == "win32", reason="what POSIX alone has")


@pytest.fixture
def folder(make_raster: Make, tmp_path: Path) -> Path:
    """Two orthophotos, between which a test puts something else."""
    for name in ("a", "z"):
        make_raster(f"in/{name}.tif")
    return tmp_path / "in"


def arguments(out: Path, model: Path, *sources: Path) -> list[str]:
    lean = ["--vectors", "none", "--no-preview", "--quiet"]
    return [*map(str, sources), "--model", str(model), "--out", str(out), *lean]


def predict(out: Path, model: Path, *sources: Path) -> Result:
    return CliRunner().invoke(cli, ["predict", *arguments(out, model, *sources)])


def start(command: list[str], *, environment: dict[str, str], **options: Any) -> tuple[int, str]:
    """Exit code and stderr of the program, as a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-m", "geoseg.cli", "predict", *command],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
        timeout=120,
        **options,
    )
    return ended.returncode, ended.stderr.decode()


def statuses(out: Path) -> dict[str, str]:
    """How each input has ended, by its name, from the report."""
    inputs = json.loads((out / "report.json").read_text())["inputs"]
    return {Path(each["path"]).name: each["status"] for each in inputs}


def test_a_subfolder_that_cannot_be_searched_is_named_and_the_others_are_done(
    folder: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "closed").mkdir()
    scan = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    result = predict(tmp_path / "out", model_file, folder)
    line = (
        f"geoseg: {folder}/closed: this folder cannot be searched (Permission denied); "
        "make it readable, or move it elsewhere\n"
    )
    assert (result.exit_code, result.stderr) == (1, line)
    assert statuses(tmp_path / "out") == {"closed": "refused", "a.tif": "done", "z.tif": "done"}


@posix
@pytest.mark.parametrize("target", ["bad.tif", "/nowhere/at/all.tif"])
def test_a_link_that_leads_nowhere_is_named_in_a_folder_and_as_an_argument(
    folder: Path, model_file: Path, tmp_path: Path, target: str
) -> None:
    bad = folder / "bad.tif"
    bad.symlink_to(target)
    for number, sources in enumerate(([folder], [folder / "a.tif", bad, folder / "z.tif"])):
        out = tmp_path / f"out{number}"
        result = predict(out, model_file, *sources)
        assert result.exit_code == 1
        (line,) = result.stderr.splitlines()
        assert line.startswith(f"geoseg: {bad}: ")
        assert statuses(out) == {"bad.tif": "refused", "a.tif": "done", "z.tif": "done"}
    alone = predict(tmp_path / "alone", model_file, bad)
    assert (alone.exit_code, len(alone.stderr.splitlines())) == (2, 1)
    bad.unlink()  # as the line advises
    assert predict(tmp_path / "out0", model_file, folder).exit_code == 0


def test_debug_shows_the_traceback_of_an_input_that_failed(
    folder: Path, model_file: Path, tmp_path: Path
) -> None:
    (folder / "empty.tif").write_bytes(b"")
    plain = predict(tmp_path / "plain", model_file, folder)
    command = arguments(tmp_path / "debug", model_file, folder)
    debug = CliRunner().invoke(cli, ["predict", *command, "--debug"])
    assert (plain.exit_code, debug.exit_code) == (1, 1)
    assert len(plain.stderr.splitlines()) == 1
    assert debug.stderr.endswith(plain.stderr)
    assert f"{folder}/empty.tif\nTraceback (most recent call last)" in debug.stderr
    assert "geoseg.errors.SourceError: " in debug.stderr


def test_a_quick_look_beside_its_image_fails_these_two_alone(
    folder: Path, model_file: Path, make_raster: Make, tmp_path: Path
) -> None:
    make_raster("in/a.jpg", driver="JPEG")
    result = predict(tmp_path / "out", model_file, folder)
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert [re.match(r"geoseg: (.*?): would write a_\*", line)[1] for line in lines] == [  # type: ignore[index]
        f"{folder}/a.jpg",
        f"{folder}/a.tif",
    ]
    assert statuses(tmp_path / "out") == {"a.jpg": "refused", "a.tif": "refused", "z.tif": "done"}


@posix
def test_names_beyond_ascii_are_no_matter_where_the_locale_is_c(
    folder: Path, model_file: Path, tmp_path: Path
) -> None:
    (folder / "z.tif").rename(folder / "zürich_北.tif")
    command = arguments(tmp_path / "out", model_file, folder)
    assert start(command, environment={"LC_ALL": "C"}) == (0, "")
    assert (tmp_path / "out/zürich_北_classes.tif").exists()


@posix
def test_where_python_takes_names_for_ascii_they_are_named_and_the_others_are_done(
    folder: Path, model_file: Path, tmp_path: Path
) -> None:
    (folder / "z.tif").rename(folder / "zürich.tif")
    command = arguments(tmp_path / "out", model_file, folder)
    ascii_alone = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code, errors = start(command, environment=ascii_alone)
    assert code == 1
    (line,) = errors.splitlines()
    assert line.endswith("set LC_ALL=C.UTF-8 where other programs show it rightly")
    assert sorted(statuses(tmp_path / "out").values()) == ["done", "refused"]
    assert start(command, environment={**ascii_alone, "LC_ALL": "C.UTF-8"}) == (0, "")
    assert sorted(statuses(tmp_path / "out").values()) == ["done", "kept"]


def mosaic(path: Path, make_raster: Make, tiles: int) -> None:
    """A VRT in a row of files, all of which are open at once while it is read."""
    for number in range(tiles):
        place = from_origin(500_000 + 16 * number, 5_400_000, 0.5, 0.5)
        make_raster(f"tiles/{number}.tif", height=32, width=32, seed=number, transform=place)
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}">'
        + "".join(
            f"<SimpleSource><SourceFilename>{path.parents[1]}/tiles/{number}.tif</SourceFilename>"
            f"<SourceBand>{band}</SourceBand>"
            '<SrcRect xOff="0" yOff="0" xSize="32" ySize="32"/>'
            f'<DstRect xOff="{32 * number}" yOff="0" xSize="32" ySize="32"/></SimpleSource>'
            for number in range(tiles)
        )
        + "</VRTRasterBand>"
        for band in (1, 2, 3)
    )
    path.write_text(
        f'<VRTDataset rasterXSize="{32 * tiles}" rasterYSize="32"><SRS>EPSG:32632</SRS>'
        f"<GeoTransform>500000, 0.5, 0, 5400000, 0, -0.5</GeoTransform>{bands}</VRTDataset>"
    )


@posix
def test_an_input_for_which_too_few_files_may_be_open_fails_alone_and_the_advice_helps(
    folder: Path, model_file: Path, make_raster: Make, tmp_path: Path
) -> None:
    import resource

    mosaic(folder / "mosaic.vrt", make_raster, tiles=60)
    sources = [folder / "mosaic.vrt", folder / "a.tif", folder / "z.tif"]
    command = arguments(tmp_path / "out", model_file, *sources)

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))

    code, errors = start(command, environment={}, preexec_fn=few)
    assert code == 1
    assert errors == (
        f"geoseg: {folder}/mosaic.vrt: Too many open files for the limit of this system; raise it "
        "(ulimit -n 4096)\n"
    )
    found = statuses(tmp_path / "out")
    assert found.pop("mosaic.vrt") in ("refused", "failed")
    assert found == {"a.tif": "done", "z.tif": "done"}
    assert start(command, environment={}) == (0, "")
