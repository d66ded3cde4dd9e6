"""The STAC item of a model, against the extension's own validator and the file it names."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pystac
import pytest
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from stac_model.schema import MLModelProperties

import geoseg
from geoseg.errors import ModelError
from geoseg.export.mlm import write_item
from geoseg.models import Model


def test_the_item_is_valid_and_says_what_the_card_says(
    exported_model: Model, tmp_path: Path
) -> None:
    path = tmp_path / "items" / "model.json"
    write_item(exported_model, path)
    document = json.loads(path.read_text(encoding="utf-8"))
    properties = MLModelProperties(
        **{key: value for key, value in document["properties"].items() if key.startswith("mlm:")}
    )
    (image,), (logits,) = properties.input, properties.output
    assert [band.name for band in image.bands] == ["red", "nir"]
    assert image.input.shape == [-1, 2, -1, -1]
    assert [(each.mean, each.stddev) for each in image.value_scaling] == [(700, 150), (900, 210.5)]
    assert [each.name for each in logits.classes] == list(exported_model.card.classes.names)
    assert properties.tasks == {"semantic-segmentation"}
    item = pystac.Item.from_dict(document)
    assert item.properties["license"] == "CC-BY-4.0"
    assert item.properties["bands"] == [{"name": "red"}, {"name": "nir"}]


def test_the_item_is_valid_by_the_schemas(exported_model: Model, tmp_path: Path) -> None:
    write_item(exported_model, tmp_path / "model.json")
    document = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    # The core's schema comes with pystac, which asks no server for it.
    JsonSchemaSTACValidator().validate_core(document, pystac.STACObjectType.ITEM, "1.1.0")
    # Of the extension, what stac-model does not check: the form of a name, and that the bands of an
    # input are those of the item.
    assert re.fullmatch(
        r"[a-zA-Z][a-zA-Z0-9_.\-\s]+[a-zA-Z0-9]", document["properties"]["mlm:name"]
    )
    assert document["properties"]["bands"] == document["properties"]["mlm:input"][0]["bands"]
    assert "mlm:pretrained" not in document["properties"], "the card does not say it"
    assert "Dächer, grass: tall" in document["properties"]["description"]
    document["geometry"] = "nowhere"
    with pytest.raises(pystac.STACValidationError):
        JsonSchemaSTACValidator().validate_core(document, pystac.STACObjectType.ITEM, "1.1.0")


def test_the_asset_is_the_model_file(exported_model: Model, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    write_item(exported_model, path)
    asset = json.loads(path.read_text(encoding="utf-8"))["assets"]["model"]
    content = (tmp_path / asset["href"]).read_bytes()
    assert asset["file:size"] == len(content)
    assert asset["file:checksum"] == "1220" + hashlib.sha256(content).hexdigest()
    assert "mlm:model" in asset["roles"]


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        ("safetensors", "safetensors.torch.save_file"),
        ("onnx", "onnx"),
        ("pt2", "torch.export.save"),
        ("pt", "torch.jit.save"),
    ],
)
def test_the_asset_says_what_kind_of_file_it_is(
    exported_model: Model, tmp_path: Path, suffix: str, kind: str
) -> None:
    file = tmp_path / f"m.{suffix}"
    file.write_bytes(b"content")
    write_item(replace(exported_model, path=file), tmp_path / "model.json")
    document = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    assert document["assets"]["model"]["mlm:artifact_type"] == kind


def test_a_model_without_a_file_is_refused(exported_model: Model, tmp_path: Path) -> None:
    loose = geoseg.models.Model(exported_model.net, exported_model.card)
    with pytest.raises(ModelError, match="in no file yet; save it first"):
        write_item(loose, tmp_path / "model.json")
