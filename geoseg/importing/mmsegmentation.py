"""mmsegmentation's heads: FCN, PSP, ASPP, DA, CC, APC and OCR.

Source: open-mmlab/mmsegmentation, ``mmseg/models/decode_heads``, and mmcv's ``ConvModule``,
``Scale`` and ``CrissCrossAttention``. What supervises the training only is left out, but for the
auxiliary heads that geoseg's systems have, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

from geoseg.importing.blueprint import Blueprint, width_of
from geoseg.importing.rules import TRAINING_ONLY, Rule, as_vector, conv_bn, first_last, left_out

ANCHORS = ("decode_head.conv_seg.weight", "decode_head.1.conv_seg.weight")
_HEAD = "decode_head"
_AUXILIARY = "auxiliary_head"
Tensors = Mapping[str, Tensor]


def read(tensors: Tensors, encoder: str | None) -> Blueprint:
    """The network of a state dict, its head told from the names.

    Args:
        tensors: by name.
        encoder: in whose code maps may be resized in another way than here.
    """
    kinds: dict[str, Callable[[Tensors], Blueprint]] = {
        f"{_HEAD}.1.object_context_block": _ocr,
        f"{_HEAD}.acm_modules": _apc,
        f"{_HEAD}.pam": _da,
        f"{_HEAD}.cca": _cc,
        f"{_HEAD}.psp_modules": _psp,
        f"{_HEAD}.aspp_modules": _aspp,
    }
    of_head = [name for name in tensors if name.startswith(_HEAD)]
    found = (
        kind for part, kind in kinds.items() if any(name.startswith(f"{part}.") for name in of_head)
    )
    blueprint = next(found, _fcn)(tensors)
    if encoder is not None and encoder.startswith("tu-hrnet_"):
        options = {**blueprint.options, "resizing": "bilinear"}
        return Blueprint(**{**vars(blueprint), "options": options, "strided": False})
    return blueprint


def _blueprint(
    system: str,
    rules: Iterator[Rule],
    options: Mapping[str, Any],
    head: str = _HEAD,
    preset: str = "geoseg",
) -> Blueprint:
    classify = Rule(f"{head}.conv_seg", "head.classify.conv")
    others = left_out(TRAINING_ONLY, _AUXILIARY)
    return Blueprint(
        system,
        f"{head}.conv_seg.weight",
        (classify, *others, *rules),
        "backbone",
        preset,
        options,
        basic_blocks=False,
    )


def _count(tensors: Tensors, part: str) -> int:
    """How many modules are numbered below a name."""
    start = f"{part}."
    numbers = {name[len(start) :].split(".")[0] for name in tensors if name.startswith(start)}
    return len(numbers)


def _fcn(tensors: Tensors) -> Blueprint:
    first, count = f"{_HEAD}.convs.0.conv.weight", _count(tensors, f"{_HEAD}.convs")

    def rules() -> Iterator[Rule]:
        yield from conv_bn(f"{_HEAD}.convs.0", "head.reduce")
        for number in range(1, count):
            yield from conv_bn(f"{_HEAD}.convs.{number}", f"head.smooth.{number - 1}")
        yield from conv_bn(f"{_HEAD}.conv_cat", "head.fuse")

    options = {
        "channels": width_of(tensors, first),
        "kernel": tensors[first].shape[2],
        "convs": count,
        "concat": f"{_HEAD}.conv_cat.conv.weight" in tensors,
    }
    return _blueprint("fcn", rules(), options)


def _psp(tensors: Tensors) -> Blueprint:
    def rules() -> Iterator[Rule]:
        for number in range(_count(tensors, f"{_HEAD}.psp_modules")):
            level = f"{_HEAD}.psp_modules.{number}.1"
            yield from conv_bn(level, f"head.pyramid.levels.{number}")
        yield from conv_bn(f"{_HEAD}.bottleneck", "head.fuse")

    return _blueprint("ppm", rules(), {"channels": _width(tensors)})


def _aspp(tensors: Tensors) -> Blueprint:
    width, fuse = _width(tensors), f"{_HEAD}.bottleneck"

    def rules() -> Iterator[Rule]:
        yield from conv_bn(f"{_HEAD}.image_pool.1", "head.pyramid.image")
        for number in range(_count(tensors, f"{_HEAD}.aspp_modules")):
            branch = f"{_HEAD}.aspp_modules.{number}"
            yield from conv_bn(branch, f"head.pyramid.branches.{number}")
        yield from first_last(fuse, "head.fuse", ("conv", "bn"), width)

    kernel = int(tensors[f"{fuse}.conv.weight"].shape[2])
    return _blueprint("aspp", rules(), {"channels": width, "kernel": kernel})


def _da(tensors: Tensors) -> Blueprint:
    def rules() -> Iterator[Rule]:
        for number, branch in enumerate(("pam", "cam")):
            target = f"head.branches.{number}"
            yield from conv_bn(f"{_HEAD}.{branch}_in_conv", f"{target}.0")
            yield from conv_bn(f"{_HEAD}.{branch}_out_conv", f"{target}.2")
            yield _gate(f"{_HEAD}.{branch}.gamma.scale", f"{target}.1.alpha")
        for name in ("query", "key", "value"):
            yield Rule(f"{_HEAD}.pam.{name}_project", f"head.branches.0.1.{name}")
        yield from left_out(TRAINING_ONLY, f"{_HEAD}.pam_conv_seg", f"{_HEAD}.cam_conv_seg")

    width = width_of(tensors, f"{_HEAD}.pam_in_conv.conv.weight")
    return _blueprint("danet", rules(), {"channels": width})


def _cc(tensors: Tensors) -> Blueprint:
    def rules() -> Iterator[Rule]:
        yield from conv_bn(f"{_HEAD}.convs.0", "head.reduce")
        yield from conv_bn(f"{_HEAD}.convs.1", "head.smooth")
        yield from conv_bn(f"{_HEAD}.conv_cat", "head.fuse")
        for name in ("query", "key", "value"):
            yield Rule(f"{_HEAD}.cca.{name}_conv", f"head.attention.{name}")
        yield _gate(f"{_HEAD}.cca.gamma.scale", "head.attention.alpha")

    width = width_of(tensors, f"{_HEAD}.convs.0.conv.weight")
    return _blueprint("ccnet", rules(), {"channels": width})


def _apc(tensors: Tensors) -> Blueprint:
    modules, width = f"{_HEAD}.acm_modules", _width(tensors)
    scales = tuple(
        math.isqrt(width_of(tensors, f"{modules}.{number}.gla.weight"))
        for number in range(_count(tensors, modules))
    )
    first = tensors.get(f"{_AUXILIARY}.convs.0.conv.weight")
    deep = first is not None and first.shape[::2] == (max(1, width // 2), 3)
    parts = {"pooled_redu_conv": "subregions", "input_redu_conv": "reduce", "global_info": "guide"}
    parts |= {"residual_conv": "residual", "fusion_conv": "fusion"}

    def rules() -> Iterator[Rule]:
        for number in range(len(scales)):
            source, target = f"{modules}.{number}", f"head.contexts.{number}"
            for part, name in parts.items():
                yield from conv_bn(f"{source}.{part}", f"{target}.{name}")
            yield Rule(f"{source}.gla", f"{target}.affinity")
        yield from conv_bn(f"{_HEAD}.bottleneck", "head.fuse")
        if deep:
            yield from conv_bn(f"{_AUXILIARY}.convs.0", "head.deep.0")
            yield Rule(f"{_AUXILIARY}.conv_seg", "head.deep.1.conv")

    options = {"channels": width, "scales": scales, "deep": deep}
    return _blueprint("apcnet", rules(), options, preset="released")


def _ocr(tensors: Tensors) -> Blueprint:
    coarse, head = f"{_HEAD}.0", f"{_HEAD}.1"
    block, first = f"{head}.object_context_block", f"{coarse}.convs.0.conv.weight"
    width = width_of(tensors, f"{head}.bottleneck.conv.weight")

    def rules() -> Iterator[Rule]:
        yield from conv_bn(f"{coarse}.convs.0", "head.coarse.0")
        yield Rule(f"{coarse}.conv_seg", "head.coarse.1.conv")
        yield from conv_bn(f"{head}.bottleneck", "head.reduce")
        for part, name in (("query", "phi"), ("key", "psi")):
            for number in range(2):
                yield from conv_bn(f"{block}.{part}_project.{number}", f"head.{name}.{number}")
        yield from conv_bn(f"{block}.value_project", "head.delta")
        yield from conv_bn(f"{block}.out_project", "head.rho")
        yield from first_last(f"{block}.bottleneck", "head.g", ("conv", "bn"), width)

    options = {
        "channels": width,
        "key_channels": width_of(tensors, f"{block}.value_project.conv.weight"),
        "coarse_channels": width_of(tensors, first),
        "coarse": "pointwise" if tensors[first].shape[2] == 1 else "conv",
        "resizing": "own",
    }
    return _blueprint("ocrnet", rules(), options, head, preset="released")


def _width(tensors: Tensors) -> int:
    """Of the convolution that fuses what a head has made."""
    return width_of(tensors, f"{_HEAD}.bottleneck.conv.weight")


def _gate(source: str, target: str) -> Rule:
    """The rule of the factor of an attention."""
    return Rule(source, target, as_vector, "a number as a tensor of one")
