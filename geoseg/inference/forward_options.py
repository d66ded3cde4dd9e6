"""How windows are run: device, precision, scales; checked without torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, get_args

from geoseg.errors import ConfigError
from geoseg.value_ranges import ValueRange, per_band

Precision = Literal["fp32", "bf16", "fp16"]
Backend = Literal["torch", "openvino", "compile"]


ALL_GPUS = "cuda:all"
"""The device of which each GPU of the machine gets a worker process."""


def check_device_name(name: str, *, several: bool = False) -> str:
    """The name itself; whether this machine has the device is asked of torch.

    Args:
        name: of a device.
        several: allow `ALL_GPUS`.

    Raises:
        ConfigError: it is none of ``auto``, ``cpu``, ``cuda`` and ``cuda:N``.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name) and not (several and name == ALL_GPUS):
        known = "cuda, cuda:N or cuda:all" if several else "cuda or cuda:N"
        raise ConfigError(f"device {name!r} is unknown; use auto, cpu, {known}")
    return name


def check_precision(name: str) -> Precision | Literal["auto"]:
    """The name itself.

    Raises:
        ConfigError: it is neither ``auto`` nor a `Precision`.
    """
    if name not in ("auto", *get_args(Precision)):
        raise ConfigError(f"precision {name!r} is unknown; use auto, fp32, bf16 or fp16")
    return name  # type: ignore[return-value]  # mypy does not narrow by the line above


def check_backend(name: str) -> Backend:
    """The name itself.

    Raises:
        ConfigError: it is no `Backend`, or its package is not installed.
    """
    if name not in get_args(Backend):
        raise ConfigError(f"backend {name!r} is unknown; use torch, openvino or compile")
    if name == "openvino" and find_spec("openvino") is None:
        raise ConfigError(
            "backend openvino needs a package that is not installed; "
            "run pip install 'geoseg[openvino]', or use --backend torch"
        )
    return name  # type: ignore[return-value]  # mypy does not narrow by the line above


@dataclass(frozen=True, slots=True)
class ForwardOptions:
    """How windows are run; part of what decides the pixels."""

    device: str = "cpu"
    """``cpu`` or ``cuda[:N]``."""
    precision: Precision = "fp32"
    scales: tuple[float, ...] = (1.0,)
    """Each window is run at these sizes; probabilities are averaged in this order."""
    flip: bool = False
    """Each scale is also run mirrored left to right."""
    source_range: ValueRange | None = None
    """The source's values that mean the card's value range; None: taken as they are."""

    backend: Backend = "torch"
    """What runs the network."""

    @property
    def lines(self) -> list[str]:
        """What no plan can know beforehand, in a line; none where that is nothing."""
        if self.backend == "torch":
            return []
        return [
            f"      without the minutes that {self.backend} may take to prepare the network, in "
            "each process for each size of window"
        ]

    def __post_init__(self) -> None:
        if self.backend == "openvino" and self.device != "cpu":
            raise ConfigError(
                f"backend openvino is for CPUs, the device is {self.device}; use --device cpu, "
                "or --backend torch or compile"
            )
        if not self.scales or not all(0.1 <= scale <= 8.0 for scale in self.scales):
            raise ConfigError(
                f"scales {list(self.scales)}: give one or more factors between 0.1 and 8"
            )
        for low, high in () if self.source_range is None else per_band(self.source_range, None):
            if not low < high:
                raise ConfigError(
                    f"value range {(low, high)}: the first value must be below the second"
                )
