from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from geoseg.models import Segmenter, create_model
from geoseg.training.optimizer import make_optimizer, rate_factor, set_rates
from geoseg.training.recipe import Recipe


def test_the_schedule_is_torchs_polynomial() -> None:
    recipe = Recipe(steps=10, power=0.9)
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    oracle = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=10, power=0.9)
    for step in range(10):
        assert rate_factor(step, recipe) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        oracle.step()


def test_the_rate_rises_in_a_straight_line_first() -> None:
    recipe = Recipe(steps=100, power=0.0, warmup=4)
    assert [rate_factor(step, recipe) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_linear_is_a_straight_fall() -> None:
    recipe = Recipe(steps=4, schedule="linear")
    assert [rate_factor(step, recipe) for step in range(4)] == [1.0, 0.75, 0.5, 0.25]


def test_biases_and_normalisation_may_be_spared_the_decay() -> None:
    net = create_model("fcn", encoder="tu-test_resnet", classes=2)
    groups = make_optimizer(net, Recipe(decay_norms=False, weight_decay=0.02)).param_groups
    assert [group["weight_decay"] for group in groups] == [0.02, 0.0, 0.02, 0.0]
    for group in groups:
        assert all(
            (parameter.ndim > 1) == (group["weight_decay"] > 0) for parameter in group["params"]
        )
    assert sum(len(group["params"]) for group in groups) == len(list(net.parameters()))


def test_matrices_decay_and_vectors_may_be_spared() -> None:
    head = nn.Linear(2, 3)
    net = Segmenter(create_model("pixel", classes=3).spec, None, head, 1, 1)
    decayed, spared = make_optimizer(net, Recipe(decay_norms=False)).param_groups
    assert decayed["params"][0] is head.weight
    assert spared["params"][0] is head.bias


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_the_encoder_has_its_own_learning_rate(name: str) -> None:
    net = create_model("fcn", encoder="tu-test_resnet", classes=2)
    recipe = Recipe(optimizer=name, learning_rate=0.1, encoder_lr_factor=0.1)  # type: ignore[arg-type]
    recipe = replace(recipe, weight_decay=0.02)
    optimizer = make_optimizer(net, recipe)
    set_rates(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.005, 0.05])
    assert all(group["weight_decay"] == 0.02 for group in optimizer.param_groups)
    held = sum(len(group["params"]) for group in optimizer.param_groups)
    assert held == len(list(net.parameters()))


def test_the_recipe_chooses_optimizer_momentum_and_decay() -> None:
    net = create_model("pixel", classes=2)
    sgd = make_optimizer(net, Recipe(momentum=0.8, weight_decay=0.03, learning_rate=0.2))
    assert isinstance(sgd, torch.optim.SGD)
    (group,) = sgd.param_groups
    assert (group["momentum"], group["weight_decay"], group["lr"]) == (0.8, 0.03, 0.2)
    adamw = make_optimizer(net, Recipe(optimizer="adamw", weight_decay=0.03))
    assert isinstance(adamw, torch.optim.AdamW)
    assert adamw.param_groups[0]["weight_decay"] == 0.03


def test_the_rise_and_the_fall_are_multiplied() -> None:
    recipe = Recipe(steps=100, power=2.0, warmup=10)
    assert rate_factor(4, recipe) == pytest.approx(0.5 * 0.96**2)
    assert rate_factor(9, recipe) == pytest.approx(0.91**2)
    assert rate_factor(10, recipe) == pytest.approx(0.9**2)


def test_a_network_without_encoder_has_one_group() -> None:
    optimizer = make_optimizer(create_model("pixel", classes=2), Recipe())
    assert len(optimizer.param_groups) == 1
