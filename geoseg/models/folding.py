"""Batch normalization folded into the convolutions before it: the same function, less work.

In eval mode a batch normalization is a scale and a shift of each channel, and so is linear, as the
convolution is. Their product is one convolution with other weights and a bias (Jacob et al. 2018,
https://arxiv.org/abs/1712.05877, 3.2). Whether a normalization does follow a convolution, no names
and no order of modules say for sure; so a small image is run, and it is seen what is given to what.
"""

from __future__ import annotations

import copy
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from geoseg.models.dilated import PhasedConv2d
from geoseg.models.layers import BatchNorm

_SIDES = (64, 96)
"""Of the image that is run, as `create_model` has run one of them."""


Net = TypeVar("Net", bound=nn.Module)


def fold_batch_norms(net: Net, *, in_place: bool = False) -> Net:
    """A network in eval mode, its batch normalizations folded where that is possible.

    A normalization is left alone where its convolution is not linear in its weights (standardized
    weights), where anything else sees the convolution's map or hooks see either, and where one of
    the two is shared.

    Args:
        net: the network, with a `spec` that says how many channels its images have.
        in_place: change it; else it is copied, and stays as it is.
    """
    folded = net.eval() if in_place else copy.deepcopy(net).eval()
    replaced: dict[nn.Module, nn.Module] = {}
    for conv, norm in _followed(folded):
        is_transposed = isinstance(conv, nn.ConvTranspose2d)
        replaced[conv] = fuse_conv_bn_eval(conv, norm, transpose=is_transposed)
        replaced[norm] = _what_remains(norm)
    for module in list(folded.modules()):
        for name, child in module._modules.items():  # a shared child is to be replaced everywhere
            if child in replaced:
                setattr(module, name, replaced[child])
    return folded


class _Uses(TorchFunctionMode):
    """Counts the functions of torch that are given each tensor and make tensors of it."""

    def __init__(self) -> None:
        super().__init__()
        self.of: Counter[int] = Counter()
        self._kept: list[Any] = []  # else an address could come to be another tensor's

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if any(True for _ in _tensors(result)):
            self._kept.append((args, kwargs, result))
            self.of.update(
                id(tensor) for tensor in _tensors((args, tuple((kwargs or {}).values())))
            )
        return result


def _tensors(value: Any) -> Iterable[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _tensors(each)


def _followed(net: Any) -> list[tuple[Any, Any]]:
    """Convolutions and the normalizations that alone are given all that they make."""
    given: dict[nn.Module, list[int]] = defaultdict(list)
    made: dict[nn.Module, list[int]] = defaultdict(list)

    def watch(module: nn.Module) -> RemovableHandle:
        if _is_linear(module):
            return module.register_forward_hook(lambda m, _, y: made[m].append(id(y)))
        return module.register_forward_pre_hook(lambda m, x: given[m].append(id(x[0])))

    watched = [each for each in net.modules() if _is_linear(each) or _is_plain_norm(each)]
    handles = [watch(module) for module in watched]
    device = next(net.parameters()).device
    with torch.no_grad(), _Uses() as uses:
        net(torch.zeros(1, net.spec.in_channels, *_SIDES, device=device))
    for handle in handles:
        handle.remove()
    norm_of = {tuple(maps): norm for norm, maps in given.items()}
    return [
        (conv, norm_of[tuple(maps)])
        for conv, maps in made.items()
        if tuple(maps) in norm_of and all(uses.of[each] == 1 for each in maps)
    ]


def _is_linear(module: nn.Module) -> bool:
    """Whether it is a convolution whose map is linear in its weights as they are stored."""
    if type(module) is nn.ConvTranspose2d:
        return module.groups == 1  # torch would fold the channels of groups wrongly
    same = getattr(sys.modules.get("timm.layers"), "Conv2dSame", nn.Conv2d)
    return type(module) in (nn.Conv2d, PhasedConv2d, same) and not _has_hooks(module)


def _is_plain_norm(module: nn.Module) -> bool:
    """Whether it is a batch normalization by running statistics, if need be with an activation."""
    known = (nn.BatchNorm2d, nn.SyncBatchNorm, BatchNorm)
    if not isinstance(module, _BatchNorm) or module.running_mean is None or _has_hooks(module):
        return False
    return type(module) in known or _has_activation(module)


def _has_hooks(module: nn.Module) -> bool:
    """Whether something is called with it that may change its weights or its map."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _has_activation(norm: nn.Module) -> bool:
    kind = getattr(sys.modules.get("timm.layers"), "BatchNormAct2d", None)
    return type(norm) is kind


def _what_remains(norm: Any) -> nn.Module:
    """What a normalization does besides."""
    return nn.Sequential(norm.drop, norm.act) if _has_activation(norm) else nn.Identity()
