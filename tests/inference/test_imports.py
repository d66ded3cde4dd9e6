"""A run imports before its clock what it needs, and nothing else."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

import geoseg
from geoseg.inference.imports import import_ahead, worker_modules
from geoseg.inference.options import PredictOptions


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        ({"vectors": "none", "preview": False}, set()),
        ({"vectors": "gpkg", "preview": False}, {"pyogrio", "scipy"}),
        ({"vectors": "none", "preview": True}, {"PIL"}),
        ({"vectors": "gpkg", "preview": True, "dry_run": True}, set()),
        ({"vectors": "gpkg", "preview": True, "workers": 2}, {"geoseg"}),
    ],
)
def test_what_the_files_need_is_imported(
    options: dict[str, Any], needed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    card = geoseg.load_model("demo").card
    pixel = card.model_copy(update={"spec": geoseg.create_model("pixel", classes=5).spec})
    asked: list[str] = []
    monkeypatch.setattr(importlib, "import_module", asked.append)
    import_ahead(pixel, PredictOptions.from_keywords(**options))
    assert {name.split(".")[0] for name in asked} == needed
    import_ahead(card, PredictOptions.from_keywords(**options))
    assert "geoseg.models.encoder" in asked


def test_workers_need_the_encoder_and_what_their_files_need() -> None:
    card = geoseg.load_model("demo").card
    options = PredictOptions.from_keywords(vectors="gpkg", preview=False, workers=2)
    worker, *others = worker_modules(card, options)
    assert worker == "geoseg.inference.worker"
    assert {name.split(".")[0] for name in others} == {"geoseg", "pyogrio", "scipy"}
