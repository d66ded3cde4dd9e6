"""A batch of windows in, scores out: device, precision, memory layout, augmentation."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from geoseg.errors import ConfigError, DeviceError, ModelError, one_line_reason
from geoseg.inference.backends import with_backend
from geoseg.inference.forward_options import (
    ForwardOptions,
    Precision,
    check_device_name,
    check_precision,
)
from geoseg.inference.normalize import Normalization
from geoseg.inference.stitching import Scores
from geoseg.inference.transfers import Stopwatch
from geoseg.models import Model, Segmenter
from geoseg.models.context.base import Maps
from geoseg.models.external import External
from geoseg.models.folding import fold_batch_norms
from geoseg.models.pointwise import follow_the_map

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
NAN = "the network gives NaN; its weights or the card's mean and std are broken, or use fp32"
_GPU_BATCH = 16
"""Where ``--batch auto`` starts on a GPU; it halves when memory runs out."""


def choose_device(name: str) -> torch.device:
    """The device behind ``auto``, ``cpu`` or ``cuda[:N]``.

    Raises:
        ConfigError: the device is unknown or not available.
    """
    if check_device_name(name) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device {name!r} is not there: {torch.cuda.device_count()} CUDA devices found; use cpu"
        )
    return device


def choose_precision(name: str, device: torch.device) -> Precision:
    """The precision behind ``auto``: bf16 where the processor computes in it natively, else fp32.

    Raises:
        ConfigError: the precision is unknown, or fp16 is asked of a CPU.
    """
    chosen = check_precision(name)
    if chosen == "fp16" and device.type == "cpu":
        raise ConfigError("precision fp16 is for GPUs; on a CPU use bf16, fp32 or auto")
    if chosen == "auto":
        return "bf16" if _has_native_bf16(device) else "fp32"
    return chosen


def _has_native_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # torch emulates bf16 on any CPU with AVX-512, slower than fp32: only native instructions count.
    capabilities = torch.cpu.get_capabilities()
    return bool(
        capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16")
    )


@contextmanager
def lost_device(device: torch.device) -> Iterator[None]:
    """Say what to do where a device fails in here, or has failed in work that was queued before.

    Raises:
        DeviceError: the device is lost.
    """
    try:
        yield
    except torch.AcceleratorError as error:
        raise DeviceError(
            f"the device {device} is lost ({one_line_reason(error)}); run the command again, "
            "which continues, or use --device cpu"
        ) from error


def processor_of(device: torch.device) -> str:
    """What decides which kernels run on a device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return str(torch.backends.cpu.get_cpu_capability())


class Predictor:
    """A model ready to run windows on one device."""

    batch: int
    """Windows per forward; where geoseg chose it, it halves when a GPU's memory runs out."""
    forwards: int
    """Windows run so far (test-time augmentation counts once per window)."""
    encodings: int
    """Cells encoded so far, which windows share."""

    def __init__(
        self,
        model: Model,
        options: ForwardOptions,
        batch: int | None = 1,
        gpu_memory: int | None = None,
        *,
        owned: bool = False,  # nobody else needs the model's weights: they are not held twice
    ) -> None:
        self.classes = len(model.card.classes)
        self.options = options
        self.device = torch.device(options.device)
        """Where windows are run."""
        if gpu_memory is not None and self.device.type == "cuda":  # beyond it, batches halve
            total = torch.cuda.mem_get_info(self.device)[1]
            torch.cuda.set_per_process_memory_fraction(min(1.0, gpu_memory / total), self.device)
        self._take_batch(batch)
        self.across = self.device.type != "cpu"
        """A batch may hold windows of several lattice rows; on a CPU their bits would change."""
        self.ahead = 0 if self.device.type == "cpu" else 1
        """Bands that may wait for their copy from the device while the network runs on."""
        self._is_plain = options.scales == (1.0,) and not options.flip
        self.normalize = Normalization.from_card(model.card, options.source_range)
        self.ranges = model.card.ranges if options.source_range is None else None
        """What each band may hold; None where values are clipped to ranges of their own."""
        self._stride = model.net.stride
        net = model.net.folded() if isinstance(model.net, External) else model.net
        net = fold_batch_norms(net, in_place=owned) if isinstance(net, Segmenter) else net
        # Convolutions of neighbours want the channels of a pixel side by side. Those of single
        # pixels, all that a network without an encoder has, are ten times as fast in planes.
        is_local = isinstance(net, Segmenter) and net.encoder is None
        self._layout = torch.contiguous_format if is_local else torch.channels_last
        net = net.to(self.device).to(memory_format=self._layout).eval()
        if isinstance(net, External):  # it is given one image at a time, so batches change no bits
            follow_the_map(net)
        self._net = with_backend(net, options)
        self._in_parts: Any = net

    @property
    def seconds(self) -> float:
        """Time that the device spent in them."""
        return self._stopwatch.seconds()

    @property
    def at_once(self) -> int:
        """Processes like this one that the machine runs at once without slowing any down."""
        processes = (os.cpu_count() or 1) // torch.get_num_threads()
        return max(1, processes) if self.device.type == "cpu" else 1

    def with_batch(self, batch: int | None) -> Predictor:
        """This predictor where the batch is the same (one that was halved stays so), or another."""
        if batch == (None if self._batch_may_shrink else self.batch):
            return self
        other = copy.copy(self)
        other._take_batch(batch)
        return other

    def _take_batch(self, batch: int | None) -> None:
        self.batch = batch or (1 if self.device.type == "cpu" else _GPU_BATCH)
        self._batch_may_shrink = batch is None
        self.forwards = self.encodings = 0
        self._stopwatch = Stopwatch(self.device)

    def scores(self, x: Tensor) -> Scores:
        """What the network says of some windows.

        Args:
            x: ``(n, bands, height, width)`` float32, normalized, on the predictor's device.

        Returns:
            ``(n, classes, height, width)`` scores there; on a GPU they may still be computed.

        Raises:
            ModelError: the windows do not fit into memory.
            DeviceError: the device is lost.
        """
        values = self._in_batches(lambda part: self._run(x[part]), len(x), x.shape[-1])
        return Scores(values, logits=self._is_plain)

    def context_scores(self, maps: Maps) -> Scores:
        """The same of windows that are cut from the maps of cells; raises what `scores` does.

        Args:
            maps: ``(n, C, h, w)`` as `encode` gives them.
        """
        count, *_, width = next(iter(maps.values())).shape
        values = self._in_batches(
            lambda part: self._decode({name: x[part] for name, x in maps.items()}),
            count,
            width * self.pitch,
        )
        return Scores(values, logits=True)

    def _in_batches(self, run: Callable[[slice], Tensor], count: int, side: int) -> Tensor:
        """What is made of so many windows of a side, a batch at a time."""
        parts: list[Tensor] = []
        done = 0
        while done < count:
            try:
                with lost_device(self.device):
                    parts.append(run(slice(done, done + self.batch)))
                done += self.batch
                continue
            except torch.cuda.OutOfMemoryError:
                # Memory is freed after this clause only: the exception holds frames, they tensors.
                if not self._batch_may_shrink or self.batch == 1:
                    raise ModelError(
                        f"{self.batch} windows of {side} px do not fit into the GPU's "
                        "memory; use a smaller --batch or --window"
                    ) from None
            self.batch //= 2
            torch.cuda.empty_cache()
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    @property
    def pitch(self) -> int:
        """Pixels from one position to the next in the maps that `encode` gives."""
        return int(self._in_parts.pitch)

    def encode(self, x: Tensor) -> Maps:
        """The maps of a cell, from which `context_scores` makes scores of windows.

        Args:
            x: ``(1, bands, height, width)`` as `scores` takes it.

        Raises:
            ModelError: the cell does not fit into memory.
            DeviceError: the device is lost.
        """
        try:
            with lost_device(self.device), self._stopwatch, self._computing():
                maps: Maps = self._in_parts.encode(x.contiguous(memory_format=self._layout))
        except torch.cuda.OutOfMemoryError:
            raise ModelError(
                f"a cell of {x.shape[-1]} px does not fit into the GPU's memory; "
                "use a smaller --cell"
            ) from None
        self.encodings += 1
        return maps

    def _decode(self, maps: Maps) -> Tensor:
        with self._stopwatch, self._computing():
            logits: Tensor = self._in_parts.decode(
                {name: x.contiguous(memory_format=self._layout) for name, x in maps.items()}
            )
        self.forwards += len(logits)
        return logits.float()

    def _run(self, x: Tensor) -> Tensor:
        with self._stopwatch, torch.inference_mode():
            values = self._logits(x) if self._is_plain else self._augmented(x)
        self.forwards += len(x)
        return values

    def _augmented(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        runs: list[Tensor] = []
        for scale in self.options.scales:
            scaled = x
            if scale != 1.0:
                sides = [max(1, round(side * scale / self._stride)) * self._stride for side in size]
                scaled = F.interpolate(x, size=sides, mode="bilinear", align_corners=False)
            for mirrored in (False, True) if self.options.flip else (False,):
                logits = self._logits(scaled.flip(3) if mirrored else scaled)
                probabilities = Scores(logits, logits=True).probabilities()
                probabilities = probabilities.flip(3) if mirrored else probabilities
                if scale != 1.0:
                    probabilities = F.interpolate(
                        probabilities, size=size, mode="bilinear", align_corners=False
                    )
                runs.append(probabilities)
        # Summed in the order of the options: another order would give other last bits.
        return functools.reduce(torch.add, runs) / len(runs)

    def _logits(self, x: Tensor) -> Tensor:
        with self._computing():
            logits = self._net(x.contiguous(memory_format=self._layout))
        return logits.float()

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """In the predictor's precision, without gradients."""
        dtype = _DTYPES[self.options.precision]
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32),
        ):
            yield
