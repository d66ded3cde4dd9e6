"""The folder for a model hub, and its way back."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

import geoseg
from geoseg.export.hub import write_folder
from geoseg.models import Card, Model


def test_the_folder_holds_the_model_its_card_and_a_text(
    exported_model: Model, tmp_path: Path
) -> None:
    folder = tmp_path / "a" / "model"
    write_folder(exported_model, folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    assert geoseg.load_model(folder / "model.safetensors").digest == exported_model.digest
    config = (folder / "config.json").read_text(encoding="utf-8")
    assert Card.from_json(config) == exported_model.card


def test_the_text_begins_with_metadata_and_names_bands_and_classes(
    exported_model: Model, tmp_path: Path
) -> None:
    write_folder(exported_model, tmp_path)
    _, head, text = (tmp_path / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    facts = yaml.safe_load(head)
    assert facts["license"] == "CC-BY-4.0"
    assert facts["library_name"] == "geoseg"
    for word in ("red, nir", "0.25 m", "Dächer", "grass: tall", "0 to 2047"):
        assert word in text


def test_writing_again_is_the_same(exported_model: Model, tmp_path: Path) -> None:
    write_folder(exported_model, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_folder(geoseg.load_model(tmp_path / "model.safetensors"), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert json.loads(before["config.json"])["library_name"] == "geoseg"
