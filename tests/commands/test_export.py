"""Exports by name, their report, and options that make no sense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from geoseg.commands import export
from geoseg.errors import ConfigError, OutputError, SourceError
from geoseg.export.agreement import Agreement
from geoseg.failures import EXIT_NOTHING_BEGUN, exit_code_of
from geoseg.models import load_card


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "tflite"}, "--to tflite: use onnx, torch, mlm, hf"),
        ({"to": "onnx", "out": "m.pb"}, "the file of --to onnx ends in .onnx"),
        ({"to": "torch", "out": "m.pt"}, "the file of --to torch ends in .pt2"),
        ({"to": "onnx", "precision": "int4"}, "--precision int4: use fp32, fp16, int8"),
        ({"to": "hf", "precision": "fp16"}, "--precision fp16 is for --to onnx; leave it out"),
        ({"to": "mlm", "out": "m.json", "tiles": ["a.tif"]}, "--tiles is for --to onnx and torch"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        export.run("demo", **{"out": "m.onnx", **options})


def test_a_missing_package_is_named_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(export._NEEDED, "onnx", ("onnx_that_nobody_has",))
    with pytest.raises(ConfigError, match=r"needs onnx_that_nobody_has.*'geoseg\[export\]'"):
        export.run("demo", "onnx", "m.onnx")


def test_tiles_are_rasters_and_no_folder_of_them(
    make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_raster("tiles/a.tif").parent
    with pytest.raises(
        SourceError, match="tiles: is a folder; name rasters in it, each with"
    ) as at:
        export.run("demo", "onnx", tmp_path / "m.onnx", tiles=[folder])
    assert exit_code_of(at.value) == EXIT_NOTHING_BEGUN


def test_what_exists_is_replaced_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists; --overwrite replaces it"):
        export.run("demo", "mlm", path)
    assert path.read_text() == "mine"
    assert "written" in export.run("demo", "mlm", path, overwrite=True).text
    assert '"mlm:name"' in path.read_text()


def test_a_folder_for_a_hub_is_written(tmp_path: Path) -> None:
    report = export.run("demo", "hf", tmp_path / "demo")
    assert (tmp_path / "demo" / "README.md").exists()
    assert report.data["path"] == str(tmp_path / "demo")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("mine")
    with pytest.raises(OutputError, match=r"README.md exists; --overwrite replaces it"):
        export.run("demo", "hf", tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["README.md"]


@pytest.mark.parametrize(("to", "below"), [("hf", "."), ("hf", "demo"), ("mlm", "demo.json")])
def test_a_file_in_the_place_of_a_folder_is_refused_before_anything_begins(
    tmp_path: Path, to: str, below: str
) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(OutputError, match=r"mine is a file, not a folder\); choose an") as at:
        export.run("demo", to, tmp_path / "mine" / below, overwrite=True)
    assert exit_code_of(at.value) == EXIT_NOTHING_BEGUN


@pytest.mark.parametrize(("labels", "words"), [(0.995, None), (0.8, "int8 changes 20.0 % of the")])
def test_what_smaller_numbers_lose_is_warned_of(labels: float, words: str | None) -> None:
    arguments = (load_card("demo"), "any", "int8", Agreement(0.3, labels, 100))
    lines = export._warnings(*arguments, given=False)
    assert len(lines) == bool(words)
    assert all(str(words) in line and "give --tiles" in line for line in lines)
    of_own_tiles = export._warnings(*arguments, given=True)
    assert all("give --precision fp16" in line for line in of_own_tiles)
    assert len(of_own_tiles) == bool(words)
