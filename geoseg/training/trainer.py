"""One optimizer step, on whatever devices and in whatever precision the recipe asks for.

Several processes, started by ``accelerate launch`` or ``torchrun``, learn together: each takes its part of every batch,
gradients are averaged, and on GPUs batch normalisation counts over all. A process alone is the same code with nothing
to share.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Mapping
from datetime import timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import gather_object
from numpy.typing import NDArray
from timm.layers import (
    convert_sync_batchnorm,  # torch's own would drop the activations in timm's normalisation
)
from torch import Tensor, nn

from geoseg.errors import ConfigError
from geoseg.inference.normalize import Normalization
from geoseg.inference.predictor import choose_device, choose_precision
from geoseg.metrics import ConfusionMatrix
from geoseg.models import ContextHead, Outputs, Segmenter
from geoseg.training.average import Average
from geoseg.training.criteria import choose_criterion
from geoseg.training.losses import segmentation_loss
from geoseg.training.optimizer import make_optimizer, rate_factor, set_rates
from geoseg.training.patches import Batch
from geoseg.training.recipe import Recipe
from geoseg.training.state import load_state, random_state, save_state

PATIENCE = timedelta(hours=6)
"""How long processes wait for one another: a large tile may keep one of them validating."""


class Trainer:
    """A network with its optimizer, ready to learn from batches."""

    def __init__(
        self, net: Segmenter, recipe: Recipe, normalize: Normalization, class_weights: NDArray[Any]
    ) -> None:
        self.recipe = recipe
        self.device = choose_training_device(recipe.device)
        self.precision = choose_precision(recipe.precision, self.device)
        self._accelerator = _accelerator(self.device, self.precision, recipe)
        self.share: tuple[int, int] = (
            self._accelerator.process_index,
            self._accelerator.num_processes,
        )
        """Number of this process, and how many there are."""
        rank, processes = self.share
        parts = processes * recipe.accumulate
        if recipe.batch % parts:
            raise ConfigError(
                f"train.batch: {recipe.batch} patches do not split among {processes} processes in {recipe.accumulate} "
                f"parts each; use a multiple of {parts}"
            )
        self.net = net.to(self.device).to(memory_format=torch.channels_last)
        if processes > 1:
            torch.manual_seed(recipe.seed + rank)  # each process drops out other features
            if self.device.type == "cuda":  # torch has it for no other
                self.net = convert_sync_batchnorm(self.net)
        self.average = Average(self.net, recipe.ema) if recipe.ema else None
        self.optimizer = make_optimizer(net, recipe)
        self._model, self._stepper = self._accelerator.prepare(self.net, self.optimizer)
        self._normalize = normalize
        self._aux_weights = choose_aux_weights(net, recipe.aux_weights)
        self._criterion = choose_criterion(recipe)
        self._weights = torch.from_numpy(class_weights).to(self.device)

    @property
    def chief(self) -> bool:
        """Whether this process is the one that writes and reports."""
        return self.share[0] == 0

    @property
    def judged(self) -> Segmenter:
        """The network that is validated and saved, in eval mode: the average of the weights where there is one."""
        return self.net.eval() if self.average is None else self.average.net

    def step(self, step: int, batch: Batch) -> tuple[float, float]:
        """Learn from one batch.

        Args:
            step: counted from 0.
            batch: this process's patches, in the rasters' units.

        Returns:
            Mean loss over all processes, and the learning rate of the head. A loss that is no finite number changes
            no weight.
        """
        factor = rate_factor(step, self.recipe)
        set_rates(self.optimizer, factor)
        self._model.train()
        self._stepper.zero_grad(set_to_none=True)
        values = []
        for part in batch.split(self.recipe.accumulate):
            # Gradients add up, shared between processes with the last part; before it the stepper stands still.
            with self._accelerator.accumulate(self._model):
                loss = self._loss(part)
                values.append(float(self._accelerator.reduce(loss.detach(), "mean")))
                if not math.isfinite(values[-1]):
                    break
                self._accelerator.backward(loss)
                if self.recipe.clip is not None and self._accelerator.sync_gradients:
                    self._accelerator.clip_grad_norm_(self._model.parameters(), self.recipe.clip)
                self._stepper.step()
        else:
            if self.average is not None:
                self.average.update(self.net, step)
        return sum(values) / len(values), self.recipe.learning_rate * factor

    def _loss(self, batch: Batch) -> Tensor:
        x = self._normalize(batch.pixels.to(self.device), batch.valid.to(self.device))
        outputs: Outputs = self._model(x.contiguous(memory_format=torch.channels_last))
        labels = batch.labels.to(self.device)
        return segmentation_loss(outputs, labels, self._weights, self._aux_weights, self._criterion)

    def total(self, confusion: ConfusionMatrix) -> ConfusionMatrix:
        """The counts of all processes."""
        counted: list[ConfusionMatrix] = gather_object([confusion])
        return reduce(operator.add, counted)

    def save(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Write all that a stopped run needs to go on exactly; `facts` must be ready for JSON.

        Raises:
            OutputError: the file cannot be written; the previous one stands.
        """
        randoms = gather_object([random_state()])
        if self.chief:
            scaler = self._accelerator.scaler
            state = {} if scaler is None else scaler.state_dict()
            save_state(path, self._nets, self.optimizer, {**facts, "scaler": state}, randoms)

    def load(self, path: Path) -> dict[str, Any]:
        """Go back to where `save` was called; gives back the facts.

        Raises:
            OutputError: the file is no state of a training, or of another network.
        """
        facts = load_state(path, self._nets, self.optimizer, self.share[0])
        state = facts.pop("scaler", {})
        if state and self._accelerator.scaler is not None:
            self._accelerator.scaler.load_state_dict(state)
        return facts

    @property
    def _nets(self) -> dict[str, nn.Module]:
        return (
            {"net": self.net}
            if self.average is None
            else {"net": self.net, "average": self.average.net}
        )


def choose_training_device(name: str) -> torch.device:
    """The device behind ``auto``, ``cpu`` or ``cuda[:N]``; one of several processes gets its own GPU.

    Raises:
        ConfigError: the device is unknown, not there, or one for several processes.
    """
    processes, device = int(os.environ.get("WORLD_SIZE", "1")), choose_device(name)
    if processes == 1 or device.type == "cpu":
        return device
    if ":" in name:
        raise ConfigError(f"train.device: {name} cannot serve {processes} processes; use auto")
    return choose_device(f"cuda:{os.environ['LOCAL_RANK']}")


def _accelerator(device: torch.device, precision: str, recipe: Recipe) -> Accelerator:
    if device.index is not None:
        torch.cuda.set_device(device)  # accelerate takes the current one
    # accelerate keeps one state a process and refuses a second run with another precision.
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    # What a head computes may depend on the regions that it sees, and some encoders keep layers that nothing uses.
    found = DistributedDataParallelKwargs(find_unused_parameters=True)
    return Accelerator(
        cpu=device.type == "cpu",
        mixed_precision="no" if precision == "fp32" else precision,
        gradient_accumulation_steps=recipe.accumulate,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE), found],
    )


def choose_aux_weights(net: Segmenter, given: Mapping[str, float]) -> dict[str, float]:
    """The loss weight of each auxiliary output: the paper's, unless the recipe gives another.

    Raises:
        ConfigError: the recipe names an output that the network has not.
    """
    papers = dict(net.head.aux_weights) if isinstance(net.head, ContextHead) else {}
    for name in given:
        if name not in papers:
            has = ", ".join(papers) or "none"
            raise ConfigError(
                f"train.aux_weights: {net.spec.system} has no auxiliary output {name!r}; it has {has}"
            )
    return papers | dict(given)
