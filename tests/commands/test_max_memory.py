"""`--max-memory` in processes of their own: what is advised does, and the peak stays below it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.budgets import KINDS, run_within
from tests.benchmarks.planning import write_image, write_model


@pytest.mark.slow  # starts four processes
@pytest.mark.parametrize("classes", [2, 150])
@pytest.mark.parametrize("kind", ["rasters", "vectors"])
def test_the_least_that_is_advised_does_and_the_peak_stays_below(
    tmp_path: Path, classes: int, kind: str
) -> None:
    shape = {"size": (400, 3000), "classes": classes, "cell": 8}
    image = write_image(tmp_path / "image.tif", shape)
    model = write_model(tmp_path / "model.safetensors", shape)
    refused = run_within(image, model, tmp_path / "out", "100MiB", KINDS[kind])
    least = refused.removesuffix(" needed")
    assert least != refused
    told = run_within(image, model, tmp_path / "out", least, KINDS[kind])  # refuses what is more
    assert "needed" not in told
