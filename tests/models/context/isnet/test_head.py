from __future__ import annotations

from copy import deepcopy
from dataclasses import asdict
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from geoseg.models.context.isnet.head import (
    ISNetHead,
    SemanticContext,
    class_regions,
)
from tests.models.plain.agreement import (
    check_same,
    given_maps,
    leaves_of_logits,
    make_stages,
    settle,
)
from tests.models.plain.isnet import augment_by_class, classify

READINGS: list[dict[str, Any]] = [
    {},
    {"preset": "paper"},
    {"semantic": False},
    {"image": "none"},
    {"image": "none", "fuse": "sum"},
    {"image": "aspp", "fuse": "sum"},
    {"image": "ppm", "attention": "plain"},
    {"fuse": "1x1"},
]
readings = pytest.mark.parametrize("reading", READINGS, ids=str)


def make_head(reading: dict[str, Any], classes: int = 4) -> ISNetHead:
    return settle(
        ISNetHead((5, 7), classes, **{"channels": 6, "key_channels": 4, "dropout": 0.0, **reading})
    )


@readings
@settings(max_examples=10, deadline=None)
@given_maps(12)
def test_rearranged_head_equals_the_plain_one_in_values_and_gradients(
    reading: dict[str, Any], images: int, height: int, width: int, training: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    # PyTorch's own norm has no batch of one vector.
    head = make_head(reading).train(training and images > 1)
    features = make_stages(images, height, width)
    # Keys alike have gradients that cancel; norms enlarge the rounding that is left of them.
    floor = 1.0 if head.training else 1e-3
    leaves = leaves_of_logits(head, features)
    check_same(head(features).logits, classify(head, features), leaves, floor=floor)


partitions = {
    "images": st.integers(1, 3),
    "height": st.integers(1, 12),
    "width": st.integers(1, 12),
    "classes": st.integers(1, 7),
    # Of the classes' logits: many, some or all pixels in one class.
    "spread": st.sampled_from([0.0, 1.0, 30.0]),
    "ties": st.booleans(),
    "training": st.booleans(),
    "seed": st.integers(0, 2**32 - 1),
}


@pytest.mark.parametrize("attention", ["projected", "plain"])
@settings(max_examples=60, deadline=None)
@given(**partitions)
def test_attention_to_classes_equals_attention_to_all_pixels(
    attention: str,
    images: int,
    height: int,
    width: int,
    classes: int,
    spread: float,
    ties: bool,
    training: bool,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    options = ISNetHead.choose_options(
        "geoseg", {"channels": 6, "key_channels": 4, "attention": attention, "dropout": 0.0}
    )
    module: SemanticContext = settle(SemanticContext(options, classes))
    module.train(training and images * height * width > 1)
    x = torch.randn(images, 6, height, width, dtype=torch.float64, requires_grad=True)
    logits = torch.randn(images, classes, height, width, dtype=torch.float64)
    logits = logits + spread * torch.randn(1, classes, 1, 1, dtype=torch.float64)
    logits = (logits.round() if ties else logits).requires_grad_()
    used = [] if module.project is None else list(module.project.parameters())
    one, other = deepcopy(module), deepcopy(module)
    # Norms enlarge the rounding of maps that are constant, a thousandfold each.
    floor = 1.0 if training else 1e-3
    check_same(
        module(x, logits), augment_by_class(module, x, logits), [x, logits, *used], floor=floor
    )

    one(x, logits)
    augment_by_class(other, x, logits)
    for (name, found), expected in zip(one.named_buffers(), other.buffers(), strict=True):
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_region_of_a_class_without_pixels_is_zero_and_weighs_nothing() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 6, 4, 5, requires_grad=True)
    logits = torch.randn(2, 3, 4, 5)
    logits[:, 1] = -1e4
    logits.requires_grad_()
    regions, counts = class_regions(x, logits)
    assert not regions[:, :, 1].any()
    assert torch.equal(counts[:, 1], torch.zeros(2, dtype=torch.int64))
    assert torch.equal(counts.sum(1), torch.full((2,), 20))
    regions.square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert not logits.grad[:, 1].any()


def test_auxiliary_logits_are_those_of_the_modules_that_there_are() -> None:
    features = [torch.randn(2, count, 4, 4) for count in (5, 7)]

    def names(training: bool, **options: Any) -> set[str]:
        return set(
            ISNetHead((5, 7), 3, channels=6, key_channels=4, **options)
            .train(training)(features)
            .aux
        )

    assert names(True) == {"semantic", "deep"}
    assert names(False) == {"semantic"}
    assert names(True, preset="paper") == {"semantic"}
    assert names(True, semantic=False) == {"deep"}
    assert names(True, semantic=False, deep=False) == set()


def millions(*apart: str, **options: Any) -> float:
    """Parameters, but for those under the names of `apart` and the classifiers on top."""
    with torch.device("meta"):
        head = ISNetHead((1024, 2048), 19, **options)
    apart = ("classify.", "semantic.classify.1.", "deep.", *apart)
    return sum(p.numel() for name, p in head.named_parameters() if not name.startswith(apart)) / 1e6


def test_parameters_are_those_of_table_2_and_of_the_released_head() -> None:
    assert round(millions("semantic.classify.", fuse="sum", semantic=False), 2) == 10.36  # ILCM
    assert round(millions("semantic.classify.", fuse="sum", image="none"), 2) == 10.10  # SLCM
    assert round(millions("semantic.classify.", fuse="sum"), 2) == 11.02  # ILCM+SLCM
    assert round(millions(preset="released"), 3) == 20.721
    assert round(millions(preset="paper"), 3) == 11.014


@pytest.mark.parametrize(("width", "level"), [(3, 1), (4, 1), (8, 2), (64, 16)])
def test_levels_of_the_pyramid_share_the_width_and_have_at_least_one_channel(
    width: int, level: int
) -> None:
    head = ISNetHead((8, 8), 3, image="ppm", channels=width, key_channels=2)
    maps = [m for m in head.modules() if isinstance(m, nn.Conv2d) and m.in_channels == width]
    assert sum(m.out_channels == level for m in maps) >= 4


def test_presets_and_outputs_are_those_that_model_files_rely_on() -> None:
    assert asdict(ISNetHead.presets["geoseg"]) == {
        "resizing": "own",
        "channels": 512,
        "key_channels": 256,
        "image": "ilcm",
        "semantic": True,
        "attention": "projected",
        "fuse": "3x3",
        "deep": True,
        "dropout": 0.1,
    }
    changed = (
        asdict(ISNetHead.presets["paper"]).items() - asdict(ISNetHead.presets["geoseg"]).items()
    )
    assert dict(changed) == {"attention": "plain", "fuse": "1x1", "deep": False, "dropout": 0.0}
    changed = (
        asdict(ISNetHead.presets["released"]).items() - asdict(ISNetHead.presets["geoseg"]).items()
    )
    assert dict(changed) == {}
    assert (ISNetHead.name, ISNetHead.stages) == ("isnet", 2)
    assert ISNetHead.aux_weights == {"semantic": 0.4, "deep": 0.4}
