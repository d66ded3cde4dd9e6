"""Modes in which networks are built whose values nobody needs, as a file's follow or none do."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_FILLING = (
    Tensor.normal_,
    Tensor.uniform_,
    # These reach a mode before what they call.
    nn.init.normal_,
    nn.init.uniform_,
    nn.init.kaiming_uniform_,
)


class RangesHaveValues(TorchFunctionMode):
    """Lets ``torch.linspace`` have values on the meta device: some encoders are built from them."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """The function's own result, on the CPU for ranges."""
        own = {"device": "cpu"} if func is torch.linspace else {}
        return func(*args, **{**(kwargs or {}), **own})


class Unfilled(TorchFunctionMode):
    """Leaves tensors with whatever they hold that would be filled at random: a file's follow."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """The tensor itself where it would be filled, else the function's own result."""
        kwargs = kwargs or {}
        if func in _FILLING:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
