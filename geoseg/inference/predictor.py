"""A batch of windows in, probabilities out: device, precision, memory layout, augmentation."""

from __future__ import annotations

import functools
import os
import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from geoseg.errors import ConfigError, DeviceError, ModelError, one_line_reason
from geoseg.inference.forward_options import (
    ForwardOptions,
    Precision,
    check_device_name,
    check_precision,
)
from geoseg.inference.normalize import Normalization
from geoseg.models import Model

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
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


class Predictor:
    """A model ready to run windows on one device."""

    def __init__(self, model: Model, options: ForwardOptions, batch: int | None = 1) -> None:
        self.classes = len(model.card.classes)
        self.options = options
        self.batch = batch or (1 if options.device == "cpu" else _GPU_BATCH)
        """Windows per forward; where geoseg chose it, it halves when a GPU's memory runs out."""
        self._batch_may_shrink = batch is None
        self.forwards = 0
        """Windows run so far (test-time augmentation counts once per window)."""
        self.seconds = 0.0
        """Time spent in them."""
        self._device = torch.device(options.device)
        self._normalize = Normalization.from_card(model.card, options.source_range)
        self.value_range = model.card.value_range if options.source_range is None else None
        """What pixels may hold; None where they are clipped to a range of their own."""
        self._stride = model.net.stride
        self._net = model.net.to(self._device).to(memory_format=torch.channels_last).eval()
        self._model = model

    @property
    def at_once(self) -> int:
        """Processes like this one that the machine runs at once without slowing any down."""
        if self._device.type != "cpu":
            return 1
        return max(1, (os.cpu_count() or 1) // torch.get_num_threads())

    def with_batch(self, batch: int | None) -> Predictor:
        """This predictor where the batch is the same (one that was halved stays so), or another."""
        now = None if self._batch_may_shrink else self.batch
        return self if batch == now else Predictor(self._model, self.options, batch)

    def probabilities(self, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Probabilities of some windows.

        Args:
            pixels: ``(n, bands, height, width)`` in the source's dtype and units.
            valid: ``(n, height, width)`` bool.

        Returns:
            ``(n, classes, height, width)`` float32, summing to 1 over classes.

        Raises:
            ModelError: the network gives NaN, or does not fit into memory.
            DeviceError: the device is lost.
        """
        parts: list[NDArray[np.float32]] = []
        done = 0
        while done < len(pixels):
            chunk = slice(done, done + self.batch)
            try:
                parts.append(self._run(pixels[chunk], valid[chunk]))
                done += self.batch
                continue
            except torch.cuda.OutOfMemoryError:
                # Memory is freed after this clause only: the exception holds frames, they tensors.
                if not self._batch_may_shrink or self.batch == 1:
                    raise ModelError(
                        f"{self.batch} windows of {pixels.shape[-1]} px do not fit into the GPU's "
                        "memory; use a smaller --batch or --window"
                    ) from None
            except torch.AcceleratorError as error:
                raise DeviceError(
                    f"the device {self._device} is lost ({one_line_reason(error)}); run the "
                    "command again, which continues, or use --device cpu"
                ) from error
            self.batch //= 2
            torch.cuda.empty_cache()
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _run(self, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        started = time.perf_counter()
        with torch.inference_mode():
            tensors = [
                torch.from_numpy(np.ascontiguousarray(array)).to(self._device)
                for array in (pixels, valid)
            ]
            x = self._normalize(*tensors)
            probabilities = self._augmented(x).cpu().numpy()
        self.seconds += time.perf_counter() - started
        self.forwards += len(pixels)
        if not np.isfinite(probabilities.sum(dtype=np.float64)):
            raise ModelError(
                "the network gives NaN; its weights or the card's mean and std are broken, "
                "or use fp32"
            )
        return probabilities

    def _augmented(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        runs: list[Tensor] = []
        for scale in self.options.scales:
            scaled = x
            if scale != 1.0:
                sides = [max(1, round(side * scale / self._stride)) * self._stride for side in size]
                scaled = F.interpolate(x, size=sides, mode="bilinear", align_corners=False)
            for mirrored in (False, True) if self.options.flip else (False,):
                probabilities = self._forward(scaled.flip(3) if mirrored else scaled)
                probabilities = probabilities.flip(3) if mirrored else probabilities
                if scale != 1.0:
                    probabilities = F.interpolate(
                        probabilities, size=size, mode="bilinear", align_corners=False
                    )
                runs.append(probabilities)
        # Summed in the order of the options: another order would give other last bits.
        return runs[0] if len(runs) == 1 else functools.reduce(torch.add, runs) / len(runs)

    def _forward(self, x: Tensor) -> Tensor:
        dtype = _DTYPES[self.options.precision]
        with torch.autocast(self._device.type, dtype, enabled=dtype != torch.float32):
            logits = self._net(x.contiguous(memory_format=torch.channels_last))
        # torch's softmax is fastest over a strided class axis: planes, not interleaved classes.
        return torch.softmax(logits.float().contiguous(), dim=1)
