"""What the generated towns were like when the bundled model was trained on them.

The metrics of that model hold as long as the towns stay as they are. `recorded.json` keeps how many
numbers describe a thing, their sum, and their sum weighted by position. After an intended change,
run ``GEOSEG_RECORD=1 pytest tests/scenes`` and train the model again.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

RECORDED = Path(__file__).with_name("recorded.json")


def numbers(value: Any) -> Iterator[float]:
    """All numbers that a value consists of, names as numbers too."""
    if isinstance(value, str):
        yield float(sum(map(ord, value)))
    elif isinstance(value, np.ndarray):
        yield from value.ravel().astype(float).tolist()
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from numbers(getattr(value, field.name))
    elif isinstance(value, tuple | list):
        for part in value:
            yield from numbers(part)
    else:
        yield float(value)


def summary(value: Any) -> list[float]:
    """Count, sum, and sum weighted by position of all numbers of a value."""
    found = np.fromiter(numbers(value), float)
    return [found.size, float(found.sum()), float((found * (1 + np.arange(found.size) % 13)).sum())]


@pytest.fixture
def recorded(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Asserts that values have the summaries that were recorded for this test."""

    def check(tolerance: float = 1e-9, **values: Any) -> None:
        test = f"{request.node.path.name}::{request.node.name}"
        known = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
        summaries = {name: summary(value) for name, value in values.items()}
        if os.environ.get("GEOSEG_RECORD"):
            known[test] = summaries
            RECORDED.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
        assert summaries.keys() == known[test].keys()
        for name, found in summaries.items():
            expected = pytest.approx(known[test][name], rel=tolerance, abs=tolerance)
            assert found == expected, name

    return check
