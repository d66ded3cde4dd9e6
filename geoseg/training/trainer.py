"""One optimizer step, on whatever device and in whatever precision the recipe asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from numpy.typing import NDArray
from torch import nn

from geoseg.errors import ConfigError
from geoseg.inference.normalize import Normalization
from geoseg.inference.predictor import choose_device, choose_precision
from geoseg.models import ContextHead, Outputs, Segmenter
from geoseg.training.average import Average
from geoseg.training.losses import segmentation_loss
from geoseg.training.optimizer import make_optimizer, rate_factor, set_rates
from geoseg.training.patches import Batch
from geoseg.training.recipe import Recipe


class Trainer:
    """A network with its optimizer, ready to learn from batches."""

    def __init__(self, net: Segmenter, recipe: Recipe, normalize: Normalization, class_weights: NDArray[Any]) -> None:
        self.recipe = recipe
        self.device = choose_device(recipe.device)
        self.precision = choose_precision(recipe.precision, self.device)
        if self.device.index is not None:
            torch.cuda.set_device(self.device)  # accelerate takes the current one
        # accelerate keeps one state a process and refuses a second run with another precision.
        AcceleratorState._reset_state(reset_partial_state=True)
        mixed = "no" if self.precision == "fp32" else self.precision
        self._accelerator = Accelerator(cpu=self.device.type == "cpu", mixed_precision=mixed)
        self.net = net.to(self.device).to(memory_format=torch.channels_last)
        self.average = Average(self.net, recipe.ema) if recipe.ema else None
        self.optimizer = make_optimizer(net, recipe)
        self._model, self._stepper = self._accelerator.prepare(self.net, self.optimizer)
        self._normalize = normalize
        self._aux_weights = choose_aux_weights(net, recipe.aux_weights)
        self._weights = torch.from_numpy(class_weights).to(self.device)

    @property
    def parts(self) -> tuple[dict[str, nn.Module], torch.optim.Optimizer]:
        """What a stopped run needs to go on: networks by name, and the optimizer."""
        averages = {} if self.average is None else {"average": self.average.net}
        return {"net": self.net, **averages}, self.optimizer

    @property
    def judged(self) -> Segmenter:
        """The network that is validated and saved, in eval mode: the average of the weights where there is one."""
        return self.net.eval() if self.average is None else self.average.net

    def step(self, step: int, batch: Batch) -> tuple[float, float]:
        """Learn from one batch.

        Args:
            step: counted from 0.
            batch: patches in the rasters' units.

        Returns:
            Loss, and the learning rate of the head. A loss that is no finite number changes no weight.
        """
        factor = rate_factor(step, self.recipe)
        set_rates(self.optimizer, factor)
        self._model.train()
        x = self._normalize(batch.pixels.to(self.device), batch.valid.to(self.device))
        outputs: Outputs = self._model(x.contiguous(memory_format=torch.channels_last))
        labels = batch.labels.to(self.device)
        loss = segmentation_loss(outputs, labels, self._weights, self._aux_weights)
        value = float(loss.detach())
        if torch.isfinite(loss):
            self._stepper.zero_grad(set_to_none=True)
            self._accelerator.backward(loss)
            self._stepper.step()
            if self.average is not None:
                self.average.update(self.net, step)
        return value, self.recipe.learning_rate * factor


def choose_aux_weights(net: Segmenter, given: Mapping[str, float]) -> dict[str, float]:
    """The loss weight of each auxiliary output: the paper's, unless the recipe gives another.

    Raises:
        ConfigError: the recipe names an output that the network has not.
    """
    papers = dict(net.head.aux_weights) if isinstance(net.head, ContextHead) else {}
    for name in given:
        if name not in papers:
            has = ", ".join(papers) or "none"
            raise ConfigError(f"train.aux_weights: {net.spec.system} has no auxiliary output {name!r}; it has {has}")
    return papers | dict(given)
