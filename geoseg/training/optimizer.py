"""Optimizer and schedule of a recipe."""

from __future__ import annotations

import torch
from torch import nn

from geoseg.models import Segmenter
from geoseg.training.recipe import Recipe


def make_optimizer(net: Segmenter, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD or AdamW over groups, encoder and rest, each with its own ``base_rate``.

    Without `decay_norms`, each group is split in two: with weight decay and without.
    """
    encoder = net.encoder_parameters()
    in_encoder = {id(parameter) for parameter in encoder}
    rest = [parameter for parameter in net.parameters() if id(parameter) not in in_encoder]
    rates = (
        (encoder, recipe.learning_rate * recipe.encoder_lr_factor),
        (rest, recipe.learning_rate),
    )
    groups = [
        {"params": part, "base_rate": rate, "weight_decay": decay}
        for parameters, rate in rates
        for part, decay in _by_decay(parameters, recipe)
        if part
    ]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    return torch.optim.SGD(
        groups, lr=recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )


def _by_decay(
    parameters: list[nn.Parameter], recipe: Recipe
) -> list[tuple[list[nn.Parameter], float]]:
    if recipe.decay_norms:
        return [(parameters, recipe.weight_decay)]
    flat = [parameter for parameter in parameters if parameter.ndim <= 1]
    return [
        ([parameter for parameter in parameters if parameter.ndim > 1], recipe.weight_decay),
        (flat, 0.0),
    ]


def rate_factor(step: int, recipe: Recipe) -> float:
    """The factor of the learning rates in one step: warm-up, and the poly or linear schedule.

    A function of the step alone, so that a resumed run needs no state of a scheduler.

    Args:
        step: counted from 0.
        recipe: its `steps`, `warmup`, `schedule` and `power`.
    """
    power = 1.0 if recipe.schedule == "linear" else recipe.power
    decayed = (1.0 - step / recipe.steps) ** power
    return float(decayed * min(1.0, (step + 1) / recipe.warmup) if recipe.warmup else decayed)


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Give each group its base rate times `factor`."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_rate"] * factor
