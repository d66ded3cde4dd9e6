"""A key changes with each fact that decides pixels, and with nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.keys import (
    key_of,
    output_key,
    part_key,
    pixel_settings,
    raster_facts,
    weights_digest,
)
from geoseg.models import Model
from geoseg.raster import open_raster
from geoseg.tiling import TileGrid

FACTS = {"source": "abc", "window": 16}


def test_a_key_is_16_digits_of_the_facts_in_any_order() -> None:
    assert re.fullmatch("[0-9a-f]{16}", key_of({"a": 1, "b": 2}))
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    assert key_of({"a": 1, "b": 2}) != key_of({"a": 2, "b": 1})


def test_what_json_does_not_know_counts_as_text() -> None:
    assert key_of({"file": Path("a.tif")}) == key_of({"file": "a.tif"})


def test_the_digest_is_of_the_weights_in_memory_and_the_card(
    make_model: Callable[..., Model],
) -> None:
    model = make_model()
    before = weights_digest(model)
    assert re.fullmatch("[0-9a-f]{64}", before)
    assert weights_digest(make_model()) == before
    assert weights_digest(replace(model, digest="other", path=Path("x"))) == before
    assert weights_digest(make_model(overlap=5)) != before, "the card counts"
    with torch.no_grad():
        model.net.own[0, 0] += 1e-6
    assert weights_digest(model) != before


def test_the_digest_counts_names_and_not_their_order(make_model: Callable[..., Model]) -> None:
    def digest(*names: str) -> str:
        net = torch.nn.Module()
        for name in names:
            net.register_parameter(name, torch.nn.Parameter(torch.full((2, 3), float(ord(name)))))
        return weights_digest(make_model(net=net))

    assert digest("a", "b") == digest("b", "a")
    renamed = torch.nn.Module()
    renamed.register_parameter("c", torch.nn.Parameter(torch.full((2, 3), float(ord("a")))))
    assert weights_digest(make_model(net=renamed)) != digest("a")


def test_the_settings_are_those_that_decide_pixels(make_model: Callable[..., Model]) -> None:
    model = make_model()
    forward = ForwardOptions("cuda:1", "bf16", (0.5, 1.0), True, (0.0, 9.0), "compile")
    assert pixel_settings(model, forward, (7.0, 8.0)) == {
        "version": 8,
        "model": weights_digest(model),
        "nodata": (7.0, 8.0),
        "scales": (0.5, 1.0),
        "flip": True,
        "value_range": (0.0, 9.0),
        "precision": "bf16",
        "backend": "compile",
        "device": "cuda",
    }


@pytest.mark.parametrize(
    "other",
    [
        {"source": {"bands": [3, 2, 1]}},
        {"source": {"crs": "EPSG:25832"}},
        {"grid": {"window": 17}},
        {"grid": {"overlap": 5}},
        {"grid": {"stitch": "crop"}},
        {"fingerprint": "g"},
    ],
)
def test_each_fact_of_a_raster_changes_its_keys(
    make_raster: Callable[..., Path], other: dict[str, Any]
) -> None:
    path = make_raster()

    def keys(
        source: dict[str, Any] | None = None,
        grid: dict[str, Any] | None = None,
        fingerprint: str = "f",
    ) -> tuple[str, str]:
        lattice = TileGrid(
            **{"height": 64, "width": 80, "window": 16, "overlap": 4, **(grid or {})}
        )
        facts = raster_facts(
            {"flip": False}, open_raster(path, **(source or {})), lattice, fingerprint
        )
        assert facts["flip"] is False
        return output_key(facts, "classes", 0.0), part_key(
            facts, min_confidence=0.0, confidence=False, probabilities=False, threads=1
        )

    assert keys() == keys()
    assert not set(keys()) & set(keys(**other))


@pytest.mark.parametrize("kind", ["classes", "preview", "gpkg", "shp"])
def test_the_least_confidence_changes_labels_and_what_is_made_of_them(kind: str) -> None:
    assert output_key(FACTS, kind, 0.0) != output_key(FACTS, kind, 0.5)


@pytest.mark.parametrize("kind", ["confidence", "probabilities"])
def test_the_least_confidence_does_not_change_probabilities(kind: str) -> None:
    assert output_key(FACTS, kind, 0.0) == output_key(FACTS, kind, 0.5)


def test_each_kind_has_its_own_key() -> None:
    kinds = ("classes", "preview", "confidence", "probabilities", "gpkg", "shp")
    assert len({output_key(FACTS, kind, 0.0) for kind in kinds}) == len(kinds)


@pytest.mark.parametrize(
    "other",
    [{"min_confidence": 0.5}, {"confidence": True}, {"probabilities": True}, {"threads": 2}],
)
def test_what_parts_hold_and_torchs_threads_change_the_part_key(other: dict[str, Any]) -> None:
    first = {"min_confidence": 0.0, "confidence": False, "probabilities": False, "threads": 1}
    assert part_key(FACTS, **first) != part_key(FACTS, **{**first, **other})
