"""The folder for a model hub, and its way back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

import geoseg
from geoseg.export.hub import model_card, write_folder
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
    assert facts["license"] == "cc-by-4.0"
    assert facts["library_name"] == "geoseg"
    for word in ("red, nir", "0.25 m", "Dächer", "grass: tall", "0 to 2047"):
        assert word in text


@pytest.mark.parametrize(
    ("terms", "metadata"),
    [
        (None, {}),
        ("Apache-2.0", {"license": "apache-2.0"}),
        (
            "CC-BY-4.0 AND ODbL-1.0",
            {"license": "other", "license_name": "cc-by-4.0-and-odbl-1.0"},
        ),
    ],
)
def test_a_licence_is_named_as_hubs_take_it_and_in_full_for_people(
    exported_model: Model, terms: str | None, metadata: dict[str, str]
) -> None:
    text = model_card(exported_model.card.model_copy(update={"license": terms}))
    facts = yaml.safe_load(text.split("---\n", 2)[1])
    assert {name: facts[name] for name in facts if "license" in name} == metadata
    assert f"| licence | {terms or 'not stated'} |" in text


def test_the_network_of_another_program_goes_into_a_model_file(tmp_path: Path) -> None:
    torch.jit.trace(torch.nn.Conv2d(1, 2, 1), torch.zeros(1, 1, 4, 4)).save(tmp_path / "x.pt")
    facts = "classes: [a, b]\nbands: [red]\nvalue_range: [0, 255]\nmean: [0]\nstd: [255]\n"
    (tmp_path / "card.yaml").write_text(facts)
    model = geoseg.load_model(tmp_path / "x.pt", tmp_path / "card.yaml")
    write_folder(model, tmp_path / "hub")
    image = torch.rand(1, 1, 5, 6)
    torch.testing.assert_close(geoseg.load_model(tmp_path / "hub").net(image), model.net(image))


def test_writing_again_is_the_same(exported_model: Model, tmp_path: Path) -> None:
    write_folder(exported_model, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_folder(geoseg.load_model(tmp_path / "model.safetensors"), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert json.loads(before["config.json"])["library_name"] == "geoseg"
