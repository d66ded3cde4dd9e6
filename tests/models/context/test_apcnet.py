from __future__ import annotations

from copy import deepcopy
from dataclasses import asdict
from typing import Any

import pytest
import torch
from hypothesis import settings

from geoseg.models.context.apcnet import APCNetHead
from tests.models.plain.agreement import (
    check_same,
    given_maps,
    leaves_of_logits,
    make_stages,
    settle,
)
from tests.models.plain.apcnet import classify

READINGS: list[dict[str, Any]] = [
    {},
    {"preset": "paper"},
    {"guidance": "concat"},
    {"gla": False},
    {"residual": "plain", "guidance": "concat"},
    {"scales": (4, 1)},
]
readings = pytest.mark.parametrize("reading", READINGS, ids=str)


def make_head(reading: dict[str, Any]) -> APCNetHead:
    return settle(APCNetHead((5, 7), 3, **{"channels": 6, "dropout": 0.0, **reading}))


@readings
@settings(max_examples=12, deadline=None)
@given_maps(20)
def test_rearranged_head_equals_the_plain_one_in_values_and_gradients(
    reading: dict[str, Any], images: int, height: int, width: int, training: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    # PyTorch's own norm has no batch of one vector.
    head = make_head(reading).train(training and images > 1)
    other = deepcopy(head)
    features = make_stages(images, height, width)
    leaves = leaves_of_logits(head, features)
    check_same(head(features).logits, classify(head, features), leaves)

    again = deepcopy(other)
    again(features)
    classify(other, features)
    for name, buffer in again.named_buffers():
        if not name.startswith(("deep", "reduce.1.num")):
            torch.testing.assert_close(buffer, other.get_buffer(name), rtol=1e-12, atol=1e-12)


@readings
@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
def test_one_image_trains_by_the_running_statistics_of_its_global_vectors(
    reading: dict[str, Any], size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    head = make_head(reading)
    features = make_stages(1, *size)
    before = deepcopy(head.state_dict())
    outputs = head(features)
    (outputs.logits.square().mean() + outputs.aux["deep"].square().mean()).backward()
    assert all(x.grad is not None and x.grad.isfinite().all() for x in features)
    if head.contexts[0].guide is not None:
        assert head.contexts[0].guide[0].weight.grad.any()
        assert torch.equal(
            before["contexts.0.guide.1.running_mean"], head.contexts[0].guide[1].running_mean
        )


def test_without_guidance_the_affinities_are_the_pixel_s_alone() -> None:
    torch.manual_seed(0)
    head = make_head({"gla": False, "scales": (1,), "residual": "plain"}).eval()
    module = head.contexts[0]
    features, means = (
        torch.randn(2, 7, 4, 5, dtype=torch.float64),
        torch.randn(2, 7, 1, 1, dtype=torch.float64),
    )
    far = features.clone()
    far[..., 2:] += 1.0
    assert torch.equal(module(features, means)[..., :2], module(far, means)[..., :2])


def test_stage_3_is_supervised_in_training_alone_and_only_where_asked_for() -> None:
    head = APCNetHead((5, 7), 3, channels=6)
    features = [torch.randn(2, count, 4, 4) for count in (5, 7)]
    assert head(features).aux["deep"].shape == (2, 3, 4, 4)
    assert head.eval()(features).aux == {}
    assert APCNetHead((5, 7), 3, channels=6, deep=False)(features).aux == {}


def test_parameters_are_those_of_isnet_s_table_2() -> None:
    with torch.device("meta"):
        head = APCNetHead((1024, 2048), 19, "released")
    apart = {id(p) for part in (head.classify, head.deep) for p in part.parameters()}
    assert round(sum(p.numel() for p in head.parameters() if id(p) not in apart) / 1e6, 2) == 30.46


def test_presets_and_outputs_are_those_that_model_files_rely_on() -> None:
    assert asdict(APCNetHead.presets["geoseg"]) == {
        "resizing": "own",
        "channels": 512,
        "scales": (1, 2, 3, 6),
        "gla": True,
        "guidance": "add",
        "residual": "conv",
        "deep": True,
        "dropout": 0.1,
    }
    changed = (
        asdict(APCNetHead.presets["paper"]).items() - asdict(APCNetHead.presets["geoseg"]).items()
    )
    assert dict(changed) == {"residual": "plain", "dropout": 0.0}
    changed = (
        asdict(APCNetHead.presets["released"]).items()
        - asdict(APCNetHead.presets["geoseg"]).items()
    )
    assert dict(changed) == {}
    assert (APCNetHead.name, APCNetHead.stages) == ("apcnet", 2)
    assert APCNetHead.aux_weights == {"deep": 0.4}
