"""What a model may be called."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import constants

import geoseg
from geoseg import scenes
from geoseg.commands import info
from geoseg.errors import ModelError
from geoseg.models.named import SHIPPED, model_file

DEMO = SHIPPED["demo"]


def test_a_file_comes_before_a_model_that_comes_with_geoseg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_file("demo") == DEMO
    Path("demo").mkdir()  # the folder of geoseg demo
    assert model_file("demo") == DEMO
    Path("demo").rmdir()
    Path("demo").write_bytes(DEMO.read_bytes())
    assert model_file("demo") == Path("demo")
    assert model_file(Path("x/y.safetensors")) == Path("x/y.safetensors")


def test_a_model_of_the_hub_comes_from_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    revision = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--maps--roofs"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(revision)
    snapshot = repository / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(DEMO.read_bytes())
    assert geoseg.load_model("hf://maps/roofs").digest == geoseg.load_model(DEMO).digest
    assert model_file(f"hf://maps/roofs@{revision}") == snapshot / "model.safetensors"
    scenes.write_scene(tmp_path / "a.tif", 64, seed=1)
    out = tmp_path / "out"
    report = geoseg.predict(tmp_path / "a.tif", "hf://maps/roofs", out, dry_run=True)
    assert report.data["plan"]["forwards"] == 1
    described = info.run(tmp_path / "a.tif", model="hf://maps/roofs")
    assert "--model hf://maps/roofs" in described.text
    with pytest.raises(ModelError, match=r"hf://maps/walls: .*; connect once, or download"):
        model_file("hf://maps/walls")


def test_a_name_that_is_none_leads_to_the_list() -> None:
    with pytest.raises(ModelError, match="or a name that geoseg models lists"):
        geoseg.load_model("bildings-rgb")


@pytest.mark.parametrize("name", ["hf://", "hf://roofs", "hf://a/b/c", "hf:///b", "hf://a/"])
def test_a_name_of_no_repository_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="give hf://USER/NAME"):
        model_file(name)


def test_a_name_that_no_repository_can_have_is_refused() -> None:
    with pytest.raises(ModelError, match=r"hf://a b/c\?: cannot be fetched"):
        model_file("hf://a b/c?")
