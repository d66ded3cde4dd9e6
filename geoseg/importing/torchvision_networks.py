"""torchvision's FCN and DeepLabv3 over ResNets, whose heads are sequences of modules.

Source: pytorch/vision, ``torchvision/models/segmentation``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from geoseg.importing.blueprint import Blueprint, width_of
from geoseg.importing.rules import TRAINING_ONLY, Rule, left_out, numbered

ANCHORS = ("classifier.4.weight",)
OTHER_ANCHORS = ("classifier.high_classifier.weight",)
_CLASSIFIER = Rule("classifier.4", "head.classify.conv")
_AUXILIARY = tuple(left_out(TRAINING_ONLY, "aux_classifier"))
_OTHER = (
    "its head is that of torchvision's LR-ASPP, which geoseg does not have; geoseg.wrap runs it as "
    "it is, and --encoder-only takes its encoder"
)


def read(tensors: Mapping[str, Tensor]) -> Blueprint:
    """FCN or DeepLabv3; of LR-ASPP, whose head geoseg lacks, the encoder alone."""
    if any(name in tensors for name in OTHER_ANCHORS):
        return Blueprint("fcn", "", (), "backbone", refusal=_OTHER)
    if "classifier.0.convs.0.0.weight" in tensors:
        width = width_of(tensors, "classifier.4.weight", 1)
        rules, system = (*_deeplab(), _CLASSIFIER, *_AUXILIARY), "aspp"
        options = {"channels": width, "smooth": True}
    else:
        width = width_of(tensors, "classifier.0.weight")
        rules = (*numbered("classifier", "head.reduce"), _CLASSIFIER, *_AUXILIARY)
        system, options = "fcn", {"channels": width}
    return Blueprint(system, "classifier.4.weight", rules, "backbone", options=options)


def _deeplab() -> Iterator[Rule]:
    """The rules of DeepLabv3's pyramid, its fusion, and the convolution behind it."""
    branches = 4
    for number in range(branches):
        yield from numbered(f"classifier.0.convs.{number}", f"head.pyramid.branches.{number}")
    yield from numbered(f"classifier.0.convs.{branches}", "head.pyramid.image", first=1)
    yield from numbered("classifier.0.project", "head.fuse")
    yield from numbered("classifier", "head.smooth", first=1)
