"""One tester for all heads: a new head adds its lines to `HEADS`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from geoseg.models import HEADS, ContextHead, Outputs

CLASSES = 5
SMALL = {
    "hcnet": {"channels": 16, "prior_channels": 8},
    "ocrnet": {"channels": 16, "key_channels": 8},
    "apcnet": {"channels": 16},
    "isnet": {"channels": 16, "key_channels": 8},
    "ranet": {"channels": 16},
    "fcn": {"channels": 16},
    "ppm": {"channels": 16},
    "aspp": {"channels": 8},
    "self_attention": {"channels": 16, "key_channels": 8},
    "double_attention": {"channels": 16, "key_channels": 8, "descriptors": 6},
    "ccnet": {"channels": 16},
    "danet": {"channels": 16},
    "ann": {"channels": 16, "key_channels": 8},
    "dnl": {"channels": 16, "key_channels": 8},
    "acf": {"channels": 16},
    "psanet": {"channels": 16, "size": 11},
}
"""Widths that keep a test small; the forms are those of the full width."""
CASES: list[tuple[str, dict[str, Any]]] = [
    ("hcnet", {}),
    ("hcnet", {"preset": "paper"}),
    ("hcnet", {"norm": "softplus"}),
    ("hcnet", {"norm": "softmax"}),
    ("hcnet", {"fusion": "region"}),
    ("hcnet", {"shared": False}),
    ("hcnet", {"pixel": False}),
    ("hcnet", {"region": False}),
    ("ocrnet", {}),
    ("ocrnet", {"preset": "paper"}),
    ("ocrnet", {"preset": "released"}),
    ("ocrnet", {"pixels": "aspp"}),
    ("ocrnet", {"coarse": "pointwise"}),
    ("apcnet", {}),
    ("apcnet", {"preset": "paper"}),
    ("apcnet", {"preset": "released"}),
    ("apcnet", {"guidance": "concat"}),
    ("apcnet", {"gla": False}),
    ("apcnet", {"scales": (4, 1)}),
    ("apcnet", {"deep": False}),
    ("isnet", {}),
    ("isnet", {"preset": "paper"}),
    ("isnet", {"preset": "released"}),
    ("isnet", {"semantic": False}),
    ("isnet", {"image": "none"}),
    ("isnet", {"image": "none", "semantic": False, "fuse": "1x1"}),
    ("isnet", {"image": "aspp"}),
    ("isnet", {"image": "ppm", "attention": "plain"}),
    ("isnet", {"fuse": "1x1"}),
    ("isnet", {"fuse": "sum"}),
    ("ranet", {}),
    ("ranet", {"preset": "paper"}),
    ("ranet", {"preset": "released"}),
    ("ranet", {"boundary": False}),
    ("ranet", {"semantic": False}),
    ("ranet", {"weights": "others", "core": 2}),
    ("ranet", {"intra": False}),
    ("ranet", {"inter": False}),
    ("fcn", {}),
    ("fcn", {"convs": 2, "concat": True}),
    ("ppm", {}),
    ("ppm", {"resizing": "corners"}),
    ("aspp", {}),
    ("aspp", {"kernel": 3}),
    ("aspp", {"rates": (6, 12)}),
    ("aspp", {"smooth": True}),
    ("self_attention", {}),
    ("double_attention", {}),
    ("ccnet", {}),
    ("ccnet", {"loops": 1}),
    ("danet", {}),
    ("danet", {"attention": "position"}),
    ("danet", {"attention": "channel"}),
    ("ann", {}),
    ("dnl", {}),
    ("dnl", {"temperature": 0.05}),
    ("acf", {}),
    ("psanet", {}),
    ("pixel", {}),
]
cases = pytest.mark.parametrize(
    ("name", "options"),
    CASES,
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else value,
)


def make_head(
    name: str, options: dict[str, Any], classes: int = CLASSES
) -> tuple[ContextHead, tuple[int, ...]]:
    """A small head whose gates are open, and the channels that it takes."""
    torch.manual_seed(0)
    head_class = HEADS[name]
    channels = (12, 20)[-head_class.stages :] if head_class.stages else (3,)
    head = head_class(channels, classes, **SMALL.get(name, {}), **options)
    for parameter_name, parameter in head.named_parameters():
        if parameter_name.endswith("alpha"):
            nn.init.constant_(parameter, 0.5)
    return head, channels


def make_features(
    channels: tuple[int, ...], images: int, height: int, width: int, **kind: Any
) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(images, count, height, width, **kind) for count in channels]


@cases
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 6), (17, 23)])
@pytest.mark.parametrize("images", [1, 3])
def test_logits_have_the_size_of_the_features(
    name: str, options: dict[str, Any], size: tuple[int, int], images: int
) -> None:
    head, channels = make_head(name, options)
    with torch.no_grad():
        outputs = head.eval()(make_features(channels, images, *size))
    assert isinstance(outputs, Outputs)
    for key, logits in {"logits": outputs.logits, **outputs.aux}.items():
        assert logits.shape == (images, 2 if key.startswith("boundary") else CLASSES, *size)
        assert logits.isfinite().all()


@cases
def test_local_maps_depend_on_the_positions_within_the_radius_alone(
    name: str, options: dict[str, Any]
) -> None:
    head, channels = make_head(name, options)
    head = head.eval().double()
    features = make_features(channels, 1, 30, 27, dtype=torch.float64)
    with torch.no_grad():
        whole = head.local(features)
        cut = head.local([x[:, :, 3:28, 2:23] for x in features])
    r = head.radius
    inner = {key: x[:, :, r : 25 - r, r : 21 - r] for key, x in cut.items()}
    assert inner.keys() == whole.keys()
    for key, x in whole.items():
        there = x[:, :, 3 + r : 28 - r, 2 + r : 23 - r]
        torch.testing.assert_close(inner[key], there, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", HEADS)
def test_only_a_head_without_context_gives_a_position_what_its_maps_say_there(name: str) -> None:
    head, channels = make_head(name, {})
    with torch.no_grad():
        maps = head.eval().double().local(make_features(channels, 1, 12, 9, dtype=torch.float64))
        above = head.context({key: x[:, :, :7] for key, x in maps.items()}).logits
        whole = head.context(maps).logits
    same = torch.allclose(above, whole[:, :, :7], rtol=1e-9, atol=1e-11)
    assert same is not head.contextual


@cases
def test_gradient_reaches_every_parameter(name: str, options: dict[str, Any]) -> None:
    head, channels = make_head(name, options)
    outputs = head.train()(make_features(channels, 2, 9, 11))
    assert outputs.aux.keys() == head.own_aux_weights.keys()
    assert head.own_aux_weights.items() <= head.aux_weights.items()
    sum((logits**2).mean() for logits in (outputs.logits, *outputs.aux.values())).backward()
    silent = [
        key
        for key, parameter in head.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert silent == []


@cases
def test_one_image_of_one_position_trains(name: str, options: dict[str, Any]) -> None:
    head, channels = make_head(name, options)
    outputs = head.train()(make_features(channels, 1, 1, 1))
    sum(logits.sum() for logits in (outputs.logits, *outputs.aux.values())).backward()
    gradients = [parameter.grad for parameter in head.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


@cases
def test_main_logits_alone_train_all_that_they_depend_on(
    name: str, options: dict[str, Any]
) -> None:
    head, channels = make_head(name, options)
    features = [x.requires_grad_() for x in make_features(channels, 2, 9, 11)]
    (head.train()(features).logits ** 2).mean().backward()
    alone = "deep" in head.aux_weights or getattr(head.options, "scores", None) == "features"
    used = features[-1:] if alone else features  # stage 3 serves auxiliary logits alone, or none
    assert all(x.grad is not None and x.grad.any() for x in used)


@cases
def test_eval_is_deterministic(name: str, options: dict[str, Any]) -> None:
    head, channels = make_head(name, options)
    features = make_features(channels, 2, 9, 11)
    with torch.no_grad():
        first, second = (head.eval()(features).logits for _ in range(2))
    assert torch.equal(first, second)


@cases
def test_images_of_a_batch_do_not_touch_each_other_in_eval(
    name: str, options: dict[str, Any]
) -> None:
    head, channels = make_head(name, options)
    features = make_features(channels, 3, 9, 11, dtype=torch.float64)
    with torch.no_grad():
        together = head.eval().double()(features).logits
        alone = [head([x[index : index + 1] for x in features]).logits for index in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-7, atol=1e-9)


@cases
def test_float64_stays_float64_and_near_float32(name: str, options: dict[str, Any]) -> None:
    head, channels = make_head(name, options)
    features = make_features(channels, 2, 9, 11, dtype=torch.float64)
    with torch.no_grad():
        exact = head.eval().double()(features).logits
        near = head.float()([x.float() for x in features]).logits
    assert exact.dtype == torch.float64
    if options.get("preset") != "paper":  # raw weights cancel: there float32 is far from float64
        torch.testing.assert_close(near.double(), exact, rtol=1e-3, atol=1e-4)
        assert (near - exact).abs().mean() < 1e-5 * exact.std()  # nothing in half precision


@cases
def test_bfloat16_autocast_gives_float32_logits_near_the_exact(
    name: str, options: dict[str, Any]
) -> None:
    head, channels = make_head(name, options)
    features = make_features(channels, 2, 9, 11)
    with torch.no_grad():
        exact = head.eval()(features).logits
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = head(features)
    assert all(logits.dtype == torch.float32 for logits in (outputs.logits, *outputs.aux.values()))
    if options.get("preset") != "paper":
        assert (outputs.logits - exact).abs().mean() < 0.1 * exact.std()


@cases
def test_channels_last_changes_nothing_but_rounding(name: str, options: dict[str, Any]) -> None:
    head, channels = make_head(name, options)
    features = make_features(channels, 2, 9, 11, dtype=torch.float64)
    with torch.no_grad():
        expected = head.eval().double()(features).logits
        head.to(memory_format=torch.channels_last)
        found = head([x.contiguous(memory_format=torch.channels_last) for x in features]).logits
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)


@cases
def test_classes_that_no_pixel_has_do_no_harm(name: str, options: dict[str, Any]) -> None:
    head, channels = make_head(name, options)
    # All pixels to class 2 by a wide margin.
    for branch in ("prior.classify", "coarse", "coarse.1", "semantic.classify.1"):
        try:
            bias = head.get_submodule(branch).conv.bias
            nn.init.constant_(bias, -300.0).data[2] = 300.0
        except AttributeError:
            continue
    features = [x.requires_grad_() for x in make_features(channels, 2, 9, 11)]
    outputs = head.train()(features)
    sum(logits.sum() for logits in (outputs.logits, *outputs.aux.values())).backward()
    assert outputs.logits.isfinite().all()
    assert all(x.grad is None or x.grad.isfinite().all() for x in features)


@pytest.mark.parametrize("classes", [1, 254])
@pytest.mark.parametrize("name", HEADS)
def test_one_class_and_as_many_as_there_can_be_train(name: str, classes: int) -> None:
    head, channels = make_head(name, {}, classes)
    features = [x.requires_grad_() for x in make_features(channels, 2, 5, 7)]
    outputs = head.train()(features)
    assert outputs.logits.shape == (2, classes, 5, 7)
    check_it_trains(head, outputs, features)


@pytest.mark.parametrize("kind", ["bfloat16", "float64"])
@pytest.mark.parametrize("size", [(1, 9), (9, 1), (7, 10)])
@pytest.mark.parametrize("name", HEADS)
def test_lines_and_odd_maps_train_in_channels_last_and_other_precisions(
    name: str, size: tuple[int, int], kind: str
) -> None:
    head, channels = make_head(name, {})
    head = head.to(
        torch.float64 if kind == "float64" else torch.float32, memory_format=torch.channels_last
    )
    features = [
        x.to(head.classify.conv.weight.dtype, memory_format=torch.channels_last).requires_grad_()
        for x in make_features(channels, 1, *size)
    ]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=kind == "bfloat16"):
        outputs = head.train()(features)
    assert outputs.logits.dtype == (torch.float64 if kind == "float64" else torch.float32)
    check_it_trains(head, outputs, features)


def check_it_trains(head: ContextHead, outputs: Outputs, features: list[Tensor]) -> None:
    """Finite logits, and finite gradients of every parameter and of the features that are used."""
    logits = [outputs.logits, *outputs.aux.values()]
    assert all(x.isfinite().all() for x in logits)
    sum((x.double() ** 2).mean() for x in logits).backward()  # type: ignore[union-attr]
    assert all(
        parameter.grad is not None and parameter.grad.isfinite().all()
        for parameter in head.parameters()
    )
    assert all(x.grad is None or x.grad.isfinite().all() for x in features)
    assert features[-1].grad is not None


@pytest.mark.parametrize("name", HEADS)
def test_every_preset_names_a_paper_and_starts_with_geoseg(name: str) -> None:
    assert next(iter(HEADS[name].presets)) == "geoseg"
    assert HEADS[name].paper
    assert any(case == name for case, _ in CASES), f"{name} is not in CASES"
