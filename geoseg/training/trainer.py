"""One optimizer step, on whatever devices and in whatever precision the recipe asks for.

Several processes, started by ``accelerate launch`` or ``torchrun``, train together: each takes its
part of every batch, gradients are averaged, and on GPUs batch normalisation counts over all. A
single process is the same code with nothing to share.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
from accelerate.state import AcceleratorState
from accelerate.utils import gather_object
from numpy.typing import NDArray
from torch import Tensor, nn

from geoseg.datasets.tiles import Seen
from geoseg.errors import ConfigError, SourceError
from geoseg.failures import per_input
from geoseg.inference.normalize import Normalization
from geoseg.inference.predictor import choose_device, choose_precision
from geoseg.metrics import ConfusionMatrix
from geoseg.models import ContextHead, Outputs, Segmenter
from geoseg.training.losses import make_loss, segmentation_loss
from geoseg.training.optimizer import make_optimizer, rate_factor, set_rates
from geoseg.training.patches import Batch
from geoseg.training.recipe import Recipe
from geoseg.training.state import load_state, random_state, save_state

if TYPE_CHECKING:
    from timm.utils import ModelEmaV3

_PROCESS_TIMEOUT = timedelta(hours=6)
"""How long processes wait for one another: one of them may validate a large tile."""


class Trainer:
    """A network with its optimizer, ready to be trained on batches."""

    def __init__(
        self, net: Segmenter, recipe: Recipe, normalize: Normalization, class_weights: NDArray[Any]
    ) -> None:
        self.recipe = recipe
        self.device = choose_training_device(recipe.device)
        self.precision = choose_precision(recipe.precision, self.device)
        self._accelerator = _make_accelerator(self.device, self.precision, recipe)
        self.rank: int = self._accelerator.process_index
        """Number of this process, from 0."""
        self.processes: int = self._accelerator.num_processes
        """How many processes train together."""
        self.is_main = self.rank == 0
        """Whether this process is the one that writes and reports."""
        _require_even_parts(recipe, self.processes)
        self.net = net.to(self.device).to(memory_format=torch.channels_last)
        if self.processes > 1:
            torch.manual_seed(recipe.seed + self.rank)  # each process drops out other features
            if self.device.type == "cuda":  # torch has it for no other
                # torch's own would drop the activations in timm's normalisation
                from timm.layers import convert_sync_batchnorm

                self.net = convert_sync_batchnorm(self.net)
        self._ema = make_ema(self.net, recipe.ema) if recipe.ema else None
        self.optimizer = make_optimizer(net, recipe)
        # The same network and optimizer, wrapped for several processes and mixed precision.
        self._wrapped_net, self._wrapped_optimizer = self._accelerator.prepare(
            self.net, self.optimizer
        )
        self._normalize = normalize
        self._aux_weights = choose_aux_weights(net, recipe.aux_weights)
        self._main_loss = make_loss(recipe)
        self._class_weights = torch.from_numpy(class_weights).to(self.device)

    @property
    def evaluated_net(self) -> Segmenter:
        """What is validated and saved, in eval mode: the moving average where there is one."""
        net: Segmenter = self.net if self._ema is None else self._ema.module
        return net.eval()

    def step(self, step: int, batch: Batch) -> tuple[float, float]:
        """Train on one batch.

        Args:
            step: counted from 0.
            batch: this process's patches, in the rasters' units.

        Returns:
            Mean loss over all processes, and the learning rate of the head. After a loss that is
            not finite the weights are as before.
        """
        factor = rate_factor(step, self.recipe)
        set_rates(self.optimizer, factor)
        self._wrapped_net.train()
        self._wrapped_optimizer.zero_grad()
        values = []
        for part in batch.split(self.recipe.accumulate):
            # Gradients add up over the parts. Only with the last one accelerate shares them between
            # processes (`sync_gradients`) and lets the optimizer step; so only then they are whole,
            # and clipped.
            with self._accelerator.accumulate(self._wrapped_net):
                loss = self._loss(part)
                values.append(float(self._accelerator.reduce(loss.detach(), "mean")))
                if not math.isfinite(values[-1]):
                    break
                self._accelerator.backward(loss)
                if self.recipe.clip is not None and self._accelerator.sync_gradients:
                    self._accelerator.clip_grad_norm_(
                        self._wrapped_net.parameters(), self.recipe.clip
                    )
                self._wrapped_optimizer.step()
        else:
            if self._ema is not None:
                update_ema(self._ema, self.net, step)
        return sum(values) / len(values), self.recipe.learning_rate * factor

    def _loss(self, batch: Batch) -> Tensor:
        x = self._normalize(batch.pixels.to(self.device), batch.valid.to(self.device))
        outputs: Outputs = self._wrapped_net(x.contiguous(memory_format=torch.channels_last))
        labels = batch.labels.to(self.device)
        return segmentation_loss(
            outputs, labels, self._class_weights, self._aux_weights, self._main_loss
        )

    def sum_over_processes(self, confusion: ConfusionMatrix) -> ConfusionMatrix:
        """The counts of all processes."""
        counts: list[ConfusionMatrix] = gather_object([confusion])
        return reduce(operator.add, counts)

    def refuse_changed(self, seen: Sequence[Seen]) -> None:
        """Refuse to go on where a file was replaced: half of a state would be of other data.

        Raises:
            SourceError: in all processes; the state that was saved before is of the same data.
        """
        problems: list[str] = []
        if self.is_main:
            with per_input("the training data", problems.append):
                for each in seen:
                    each.refuse_changed("trained on")
        if problem := self.first_problem(problems):
            raise SourceError(f"{problem}; --resume continues from the last saved state")

    def first_problem(self, own: Sequence[str]) -> str:
        """The first of the problems that any process has; empty where none has one.

        Every process must call it, so that all end where one must.
        """
        has_some = torch.tensor(float(bool(own)), device=self.device)
        if not float(self._accelerator.reduce(has_some, "sum")):
            return ""
        problems: list[str] = gather_object(list(own))
        return problems[0]

    def save(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Write all that a stopped run needs to continue exactly; `facts` must be ready for JSON.

        Raises:
            OutputError: the file cannot be written; the previous one is kept.
        """
        random_states = gather_object([random_state()])
        if self.is_main:
            scaler = self._accelerator.scaler
            state = {} if scaler is None else scaler.state_dict()
            save_state(path, self._nets, self.optimizer, {**facts, "scaler": state}, random_states)

    def load(self, path: Path) -> dict[str, Any]:
        """Go back to where `save` was called; returns the facts.

        Raises:
            OutputError: the file is not a training state, or that of another network.
        """
        facts = load_state(path, self._nets, self.optimizer, self.rank)
        state = facts.pop("scaler", {})
        if state and self._accelerator.scaler is not None:
            self._accelerator.scaler.load_state_dict(state)
        return facts

    @property
    def _nets(self) -> dict[str, nn.Module]:
        return {"net": self.net} | ({} if self._ema is None else {"ema": self._ema.module})


def make_ema(net: Segmenter, decay: float) -> ModelEmaV3:
    """Moving average of the weights and running statistics, ``ema = d ema + (1 - d) net`` per step.

    timm's warm-up with this gamma and power is ``d = min(decay, (1 + step) / (10 + step))``, so
    that the random weights of the beginning are soon forgotten.
    """
    from timm.utils import ModelEmaV3  # seconds, where no encoder needs timm

    return ModelEmaV3(net, decay=decay, use_warmup=True, warmup_gamma=9.0, warmup_power=1.0)


def update_ema(ema: ModelEmaV3, net: Segmenter, step: int) -> None:
    """Take in the weights after optimizer step `step`, counted from 0."""
    ema.update(net, step + 2)  # timm counts from 1 what follows its first, plain copy


def choose_training_device(name: str) -> torch.device:
    """The device behind ``auto``, ``cpu`` or ``cuda[:N]``; each process has its own GPU.

    Raises:
        ConfigError: the device is unknown, does not exist, or cannot serve several processes.
    """
    processes, device = int(os.environ.get("WORLD_SIZE", "1")), choose_device(name)
    if processes == 1 or device.type == "cpu":
        return device
    if ":" in name:
        raise ConfigError(f"train.device: {name} cannot serve {processes} processes; use auto")
    return choose_device(f"cuda:{os.environ['LOCAL_RANK']}")


def _require_even_parts(recipe: Recipe, processes: int) -> None:
    parts = processes * recipe.accumulate
    if recipe.batch % parts:
        raise ConfigError(
            f"train.batch: {recipe.batch} patches do not split among {processes} processes in "
            f"{recipe.accumulate} parts each; use a multiple of {parts}"
        )


def _make_accelerator(device: torch.device, precision: str, recipe: Recipe) -> Accelerator:
    if device.index is not None:
        torch.cuda.set_device(device)  # accelerate takes the current one
    # accelerate keeps one state per process, and refuses a second run on another device or in
    # another precision. There is no public way to reset it; this one is taken from its tests, and a
    # test of ours trains in two precisions one after the other.
    AcceleratorState._reset_state(reset_partial_state=True)
    # What a head computes may depend on the regions that it sees, and some encoders keep layers
    # that nothing uses.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    return Accelerator(
        cpu=device.type == "cpu",
        mixed_precision="no" if precision == "fp32" else precision,
        gradient_accumulation_steps=recipe.accumulate,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_PROCESS_TIMEOUT), unused],
    )


def choose_aux_weights(net: Segmenter, given: Mapping[str, float]) -> dict[str, float]:
    """The loss weight of each auxiliary output: the paper's, unless the recipe gives another.

    Raises:
        ConfigError: the recipe names an output that the network, with its options, does not have.
    """
    papers = net.head.own_aux_weights if isinstance(net.head, ContextHead) else {}
    for name in given:
        if name not in papers:
            known = ", ".join(papers) or "none"
            raise ConfigError(
                f"train.aux_weights: {net.spec.system} with these options has no auxiliary output "
                f"{name!r}; it has {known}"
            )
    return papers | dict(given)
