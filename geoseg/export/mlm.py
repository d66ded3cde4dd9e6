"""A model as a STAC item of the Machine Learning Model extension.

Names and rules: https://github.com/stac-extensions/mlm, version 1.6.0.
"""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from geoseg.errors import ModelError
from geoseg.files import write_text
from geoseg.models import Card, Model
from geoseg.models.file_content import read_digest, reading

_SCHEMAS = [
    "https://stac-extensions.github.io/mlm/v1.6.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
]
_TASK = "semantic-segmentation"
_NOT_IN_NAMES = r"[^A-Za-z0-9_.-]+"
"""What the extension's schema allows in no name of a model: so classes are described elsewhere."""
_FORMS = {
    ".safetensors": ("PyTorch", "safetensors", "safetensors.torch.save_file"),
    ".onnx": ("ONNX", "onnx", "onnx"),
    ".pt2": ("PyTorch", "pytorch", "torch.export.save"),
    ".pt": ("PyTorch", "pytorch", "torch.jit.save"),
    ".ts": ("PyTorch", "pytorch", "torch.jit.save"),
}
"""Framework, media type and artifact type of a model's file, by its suffix."""


def write_item(model: Model, path: Path) -> None:
    """Write the item (``.json``), which refers to the model file relative to itself.

    Args:
        model: read from a file.
        path: of the item.

    Raises:
        ModelError: the model was never written to a file.
        OutputError: the item cannot be written.
    """
    if model.path is None:
        raise ModelError("the model is in no file yet; save it first, then export it")
    item = model_item(model, model.path, path)
    write_text(path, json.dumps(item, indent=1, ensure_ascii=False) + "\n")


def model_item(model: Model, file: Path, path: Path) -> dict[str, Any]:
    """The item as JSON holds it.

    Args:
        model: what it describes.
        file: the model's file.
        path: where the item will stand.
    """
    card = model.card
    framework, application, artifact = _FORMS[file.suffix]
    with reading(file):
        facts = file.stat()
    made = datetime.fromtimestamp(facts.st_mtime, UTC)
    bands = [{"name": name} for name in card.bands]
    href = Path(os.path.relpath(file, path.parent)).as_posix()
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": _SCHEMAS,
        "id": path.stem,
        "geometry": None,
        "properties": {
            "datetime": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
            **({} if card.license is None else {"license": card.license}),
            "description": f"Classes: {', '.join(card.classes.names)}",
            # The extension asks for these, the core allows them where an asset has bands too.
            "bands": bands,
            "mlm:framework": framework,
            **_model_properties(model),
        },
        "links": [],
        "assets": {
            "model": {
                "href": href if href.startswith("../") else f"./{href}",
                "title": "model file",
                "type": f"application/octet-stream; application={application}",
                "roles": ["mlm:model", "mlm:weights"],
                "bands": bands,
                "mlm:artifact_type": artifact,
                "file:size": facts.st_size,
                # A multihash: SHA-256, of 32 bytes.
                "file:checksum": "1220" + read_digest(file),
            }
        },
    }


def _model_properties(model: Model) -> dict[str, Any]:
    card = model.card
    spec = card.spec
    on = "" if spec.encoder is None else f" on {spec.encoder}"
    parameters = list(model.net.parameters())
    return {
        "mlm:name": re.sub(_NOT_IN_NAMES, " ", f"geoseg {spec.system}{on}"),
        "mlm:architecture": f"{spec.system}{on}",
        "mlm:tasks": [_TASK],
        "mlm:total_parameters": sum(parameter.numel() for parameter in parameters),
        "mlm:memory_size": sum(p.numel() * p.element_size() for p in parameters),
        "mlm:batch_size_suggestion": 1,
        "mlm:accelerator": None,
        "mlm:hyperparameters": {
            "window": card.window,
            "overlap": card.overlap,
            "output_stride": spec.output_stride,
            "preset": spec.preset,
            **spec.options,
        },
        "mlm:input": [_input(card)],
        "mlm:output": [_output(card)],
    }


def _input(card: Card) -> dict[str, Any]:
    bands = [{"name": name} for name in card.bands]
    scaling = [
        {"type": "z-score", "mean": mean, "stddev": std}
        for mean, std in zip(card.mean, card.std, strict=True)
    ]
    return {
        "name": "image",
        "bands": bands,
        "input": {
            "shape": [-1, len(card.bands), -1, -1],
            "dim_order": ["batch", "bands", "height", "width"],
            "data_type": "float32",
        },
        "value_scaling": scaling,
        "resize_type": None,
    }


def _output(card: Card) -> dict[str, Any]:
    colors = [f"{red:02X}{green:02X}{blue:02X}" for red, green, blue in card.classes.colors]
    return {
        "name": "logits",
        "tasks": [_TASK],
        "result": {
            "shape": [-1, len(card.classes), -1, -1],
            "dim_order": ["batch", "class", "height", "width"],
            "data_type": "float32",
        },
        "classification:classes": [
            {"value": value, "name": name, "color_hint": color}
            for value, (name, color) in enumerate(zip(card.classes.names, colors, strict=True))
        ],
    }
