"""Copies to and from a device that run beside its forwards; on a CPU there is nothing to copy."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

Event: Any = torch.cuda.Event  # it has no types, nor has Stream
Stream: Any = torch.cuda.Stream


class Sent:
    """Arrays on their way to a device."""

    def __init__(self, tensors: list[Tensor], copied: Any) -> None:
        self._tensors, self._copied = tensors, copied

    def take(self) -> list[Tensor]:
        """The tensors; what is queued on the device from now on finds them whole."""
        if self._copied is not None:
            current = torch.cuda.current_stream(self._tensors[0].device)
            current.wait_event(self._copied)
            for tensor in self._tensors:
                tensor.record_stream(current)  # else freed while the forward still reads it
        return self._tensors


class Uploader:
    """Sends arrays to a device, from any thread, while the network runs there."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = Stream(device) if device.type == "cuda" else None

    def send(self, *arrays: NDArray[Any]) -> Sent:
        """The arrays as tensors; on a CPU they share the arrays' memory."""
        tensors = [torch.from_numpy(array) for array in arrays]
        if self._stream is None:
            return Sent(tensors, None)
        with torch.cuda.stream(self._stream):
            # From pinned memory only does a copy run beside other work.
            there = [each.pin_memory().to(self._device, non_blocking=True) for each in tensors]
            return Sent(there, self._stream.record_event())


class Fetched:
    """Arrays on their way from a device."""

    def __init__(self, tensors: list[Tensor], copied: Any) -> None:
        self._tensors, self._copied = tensors, copied

    def arrays(self) -> list[NDArray[Any]]:
        """The arrays, as soon as they are there."""
        if self._copied is not None:
            self._copied.synchronize()
        return [tensor.numpy() for tensor in self._tensors]


class Fetcher:
    """Fetches tensors from a device while the network runs on."""

    def __init__(self, device: torch.device) -> None:
        self._stream = Stream(device) if device.type == "cuda" else None

    def fetch(self, tensors: Sequence[Tensor]) -> Fetched:
        """The tensors as arrays, as they will be when what is queued on the device is done."""
        if self._stream is None:
            return Fetched(list(tensors), None)
        self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))
        with torch.cuda.stream(self._stream):
            here = [torch.empty(each.shape, dtype=each.dtype, pin_memory=True) for each in tensors]
            for target, tensor in zip(here, tensors, strict=True):
                target.copy_(tensor, non_blocking=True)
                tensor.record_stream(self._stream)
            return Fetched(here, self._stream.record_event())


class Stopwatch:
    """Seconds that a device spends in what is run inside ``with``; a GPU is not waited for."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._seconds, self._started = 0.0, 0.0
        self._laps: deque[tuple[Any, Any]] = deque()

    def __enter__(self) -> None:
        if self._device.type == "cuda":
            self._laps.append((self._mark(), Event(enable_timing=True)))
        self._started = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        if self._device.type == "cuda":
            self._laps[-1][1].record(torch.cuda.current_stream(self._device))
            self._count(wait=False)
        else:
            self._seconds += time.perf_counter() - self._started

    def seconds(self) -> float:
        """All of them so far; waits for the device."""
        self._count(wait=True)
        return self._seconds

    def _mark(self) -> Any:
        event = Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))
        return event

    def _count(self, *, wait: bool) -> None:
        """Add up the laps that are over."""
        while self._laps and (wait or self._laps[0][1].query()):
            started, ended = self._laps.popleft()
            ended.synchronize()
            self._seconds += started.elapsed_time(ended) / 1000.0
