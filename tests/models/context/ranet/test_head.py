from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from geoseg.errors import ModelError
from geoseg.models.context.ranet.head import RANetHead, _in_column
from tests.models.plain.agreement import check_same
from tests.models.plain.ranet import classify

READINGS: list[dict[str, Any]] = [
    {},
    {"preset": "paper", "threshold": 0.4},
    {"preset": "released"},
    {"embed": True},
    {"members": False},
    {"scored": False, "weights": "all"},
    {"boundary": False},
    {"semantic": False},
    {"weights": "others"},
    {"core": 3, "threshold": 0.3},
    {"intra": False},
    {"inter": False},
    {"preset": "released", "intra": False},
    {"preset": "released", "inter": False},
]


def make_head(reading: dict[str, Any], sharpness: float) -> RANetHead:
    """A small head in float64 whose score maps are as sharp as those of a trained one."""
    torch.manual_seed(0)
    head = RANetHead(
        (5, 7), 3, **{"channels": 6, "representatives": 3, "dropout": 0.0, **reading}
    ).double()
    for branch in (head.semantic, head.boundary):
        if branch is not None:
            branch.conv.weight.data *= sharpness
    return head


def make_features(images: int, height: int, width: int) -> list[Tensor]:
    torch.manual_seed(1)
    return [
        torch.randn(images, channels, height, width, dtype=torch.float64) for channels in (5, 7)
    ]


@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize("sharpness", [1.0, 8.0])
def test_head_and_gradients_equal_equations_1_to_8(
    reading: dict[str, Any], sharpness: float
) -> None:
    head = make_head(reading, sharpness)
    features = [x.requires_grad_() for x in make_features(2, 4, 5)]
    features = features if head.middle is not None else features[1:]
    given = features if head.middle is not None else [features[0], features[0]]
    leaves = [p for name, p in head.named_parameters() if not name.startswith("boundary_final")]
    check_same(head(given).logits, classify(head, given), [*features, *leaves], 1e-9)


@pytest.mark.parametrize("preset", RANetHead.presets)
def test_an_image_gets_the_same_logits_in_any_company(preset: str) -> None:
    head = make_head({"preset": preset}, 8.0).eval()
    features = make_features(3, 9, 8)
    together = head(features).logits
    for index in range(3):
        alone = head([x[index : index + 1] for x in features]).logits
        torch.testing.assert_close(alone[0], together[index], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("boundary", [-300.0, 300.0])
def test_one_region_and_boundaries_everywhere_do_no_harm(boundary: float) -> None:
    head = make_head({}, 0.0)
    nn.init.constant_(head.boundary.conv.bias, 0).data[1] = boundary
    nn.init.constant_(head.semantic.conv.bias, 0)
    features = [x.requires_grad_() for x in make_features(2, 9, 11)]
    outputs = head(features)
    outputs.logits.sum().backward()
    assert outputs.logits.isfinite().all()
    assert features[-1].grad is not None
    assert features[-1].grad.isfinite().all()


def test_final_boundary_map_is_made_in_training_only() -> None:
    head, features = make_head({}, 1.0), make_features(1, 4, 4)
    assert list(head.train()(features).aux) == ["semantic", "boundary", "boundary_final"]
    assert list(head.eval()(features).aux) == ["semantic", "boundary"]


def test_the_papers_losses_have_no_final_boundary_map() -> None:
    head, features = make_head({"preset": "paper"}, 1.0), make_features(1, 4, 4)
    assert list(head.train()(features).aux) == ["semantic", "boundary"]


def test_without_any_exchange_of_context_there_is_nothing_to_build() -> None:
    with pytest.raises(ModelError, match="no context is exchanged; keep one, or take system fcn"):
        RANetHead((5, 7), 3, intra=False, inter=False)


def test_export_is_refused_with_what_to_use_instead() -> None:
    head = make_head({}, 1.0).eval()
    with pytest.raises(ModelError, match=r"ranet cannot be exported, .*; export hcnet or ocrnet"):
        torch.export.export(head, (make_features(1, 8, 8),), strict=False)


def test_released_interaction_has_the_weights_of_the_published_code() -> None:
    with torch.device("meta"):
        head = RANetHead((1024, 2048), 19, preset="released")
    blocks = (
        head.reduce,
        head.query,
        head.value,
        head.collected,
        head.exchanged,
        head.distributed,
        head.fuse,
    )
    weights = [p.numel() for block in blocks for p in block[0].parameters()]
    assert f"{sum(weights) / 1e6:.2f}" == "25.95"


def test_representatives_pass_their_convolutions_in_the_order_of_the_image() -> None:
    conv = nn.Conv2d(2, 2, 3, padding=1, bias=False).double()
    x, pixels = torch.randn(5, 2, dtype=torch.float64), torch.tensor([8, 3, 30, 1, 4])
    found = _in_column(conv, x, pixels)
    expected = conv(x[[3, 1, 4, 0, 2]].T.reshape(1, 2, 5, 1))[0, :, :, 0].T
    torch.testing.assert_close(found[[3, 1, 4, 0, 2]], expected)


def test_neither_score_map_is_refused() -> None:
    with pytest.raises(ModelError, match="nothing is left to make regions of; keep one"):
        RANetHead((5, 7), 3, boundary=False, semantic=False)


def test_presets_and_outputs_are_those_that_model_files_rely_on() -> None:
    assert asdict(RANetHead.presets["geoseg"]) == {
        "resizing": "own",
        "channels": 512,
        "representatives": 8,
        "boundary": True,
        "semantic": True,
        "scores": "features",
        "ends": True,
        "jsd": "full2",
        "grouping": "adjacent_cc",
        "threshold": 0.8,
        "core": 8,
        "weights": "mean",
        "members": True,
        "intra": True,
        "inter": True,
        "scored": True,
        "embed": False,
        "scale": True,
        "fusion": "concat",
        "dropout": 0.0,
        "boundary_final": True,
        "reach": 48,
    }
    changed = (
        asdict(RANetHead.presets["paper"]).items() - asdict(RANetHead.presets["geoseg"]).items()
    )
    assert dict(changed) == {
        "grouping": "full_cc",
        "core": 1,
        "weights": "literal",
        "scale": False,
        "fusion": "context",
        "boundary_final": False,
    }
    changed = (
        asdict(RANetHead.presets["released"]).items() - asdict(RANetHead.presets["geoseg"]).items()
    )
    assert dict(changed) == {
        "scores": "stage3",
        "ends": False,
        "jsd": "binary_argmax",
        "grouping": "leader",
        "core": 1,
        "weights": "all",
        "members": False,
        "scored": False,
        "embed": True,
        "scale": False,
        "dropout": 0.1,
    }
    assert (RANetHead.name, RANetHead.stages) == ("ranet", 2)
    assert RANetHead.aux_weights == {"semantic": 0.4, "boundary": 0.08, "boundary_final": 0.2}
