"""OCRNet's released networks: openseg.pytorch over ResNet, and HRNet's own code.

Sources: openseg-group/openseg.pytorch, ``lib/models/nets/ocrnet.py`` and
``lib/models/modules/spatial_ocr_block.py``; HRNet/HRNet-Semantic-Segmentation, branch HRNet-OCR,
``lib/models/seg_hrnet_ocr.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from geoseg.errors import ModelError
from geoseg.importing.blueprint import Blueprint, width_of
from geoseg.importing.rules import Rule, conv_bn, first_last

OPENSEG_ANCHORS = ("spatial_ocr_head.object_context_block.f_up.0.weight",)
HRNET_ANCHORS = ("ocr_distri_head.object_context_block.f_up.0.weight",)
_NORM = ("0", "1.0")
"""Numbers of a convolution and its norm, which is in a sequence with its ReLU."""


def read_openseg(tensors: Mapping[str, Tensor]) -> Blueprint:
    """OCRNet of openseg.pytorch.

    Raises:
        ModelError: its norms are in-place ones with a leaky ReLU, which the heads do not have.
    """
    if "conv_3x3.1.weight" in tensors:
        raise ModelError(
            "its normalisations are InPlaceABN's, with a leaky ReLU inside, which geoseg's heads "
            "do not have; geoseg.wrap runs such a network as it is"
        )
    rules = [
        *conv_bn("conv_3x3", "head.reduce", _NORM),
        *_object_context("spatial_ocr_head", tensors),
        *conv_bn("dsn_head", "head.coarse.0", _NORM),
        Rule("dsn_head.3", "head.coarse.1.conv"),
        Rule("head", "head.classify.conv"),
    ]
    options = _options(tensors, "spatial_ocr_head", "dsn_head.0.weight")
    return Blueprint(
        "ocrnet", "head.weight", tuple(rules), "backbone", preset="released", options=options
    )


def read_hrnet(tensors: Mapping[str, Tensor]) -> Blueprint:
    """OCRNet over HRNet, of HRNet's authors."""
    rules = [
        *conv_bn("conv3x3_ocr", "head.reduce", ("0", "1")),
        *_object_context("ocr_distri_head", tensors),
        *conv_bn("aux_head", "head.coarse.0", ("0", "1")),
        Rule("aux_head.3", "head.coarse.1.conv"),
        Rule("cls_head", "head.classify.conv"),
    ]
    options = _options(tensors, "ocr_distri_head", "aux_head.0.weight")
    return Blueprint(
        "ocrnet",
        "cls_head.weight",
        tuple(rules),
        "",
        preset="released",
        options=options,
        strided=False,
    )


def _options(tensors: Mapping[str, Tensor], head: str, coarse: str) -> dict[str, Any]:
    return {
        "channels": width_of(tensors, f"{head}.object_context_block.f_up.0.weight"),
        "key_channels": width_of(tensors, f"{head}.object_context_block.f_up.0.weight", 1),
        "coarse_channels": width_of(tensors, coarse),
        "coarse": "pointwise" if tensors[coarse].shape[2] == 1 else "conv",
    }


def _object_context(head: str, tensors: Mapping[str, Tensor]) -> Iterator[Rule]:
    """Rules of the attention to object regions and of the fusion, which has the context first."""
    block = f"{head}.object_context_block"
    for part, target in (("f_pixel", "phi"), ("f_object", "psi")):
        yield from conv_bn(f"{block}.{part}", f"head.{target}.0", _NORM)
        yield from conv_bn(f"{block}.{part}", f"head.{target}.1", ("2", "3.0"))
    yield from conv_bn(f"{block}.f_down", "head.delta", _NORM)
    yield from conv_bn(f"{block}.f_up", "head.rho", _NORM)
    width = width_of(tensors, f"{block}.f_up.0.weight")
    yield from first_last(f"{head}.conv_bn_dropout", "head.g", _NORM, width)
