"""The example runs, and its head passes the tester that all heads pass."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from geoseg.models import HEADS
from tests.models.context import test_context as tester

EXAMPLE = Path(__file__).parents[2] / "examples" / "03_add_a_context_head.py"


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example's line in the list, for the time of a test."""
    monkeypatch.setitem(HEADS, "mean", runpy.run_path(str(EXAMPLE))["MeanHead"])


def test_it_builds_a_network_and_counts_its_cost(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    printed = capsys.readouterr().out
    assert "(1, 6, 100, 130) logits" in printed
    assert "Cost(params=" in printed


def test_its_head_passes_the_tester_of_all_heads() -> None:
    tester.test_logits_have_the_size_of_the_features("mean", {}, (9, 6), 3)
    tester.test_gradient_reaches_every_parameter("mean", {})
    tester.test_main_logits_alone_train_all_that_they_depend_on("mean", {})
    tester.test_eval_is_deterministic("mean", {})
    tester.test_float64_stays_float64_and_near_float32("mean", {})
    tester.test_bfloat16_autocast_gives_float32_logits_near_the_exact("mean", {})
    tester.test_channels_last_changes_nothing_but_rounding("mean", {})
