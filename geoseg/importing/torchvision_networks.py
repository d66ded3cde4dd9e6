"""torchvision's FCN, whose names are those of mmsegmentation's but for the head's.

Source: pytorch/vision, ``torchvision/models/segmentation``.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from geoseg.importing.blueprint import Blueprint, width_of
from geoseg.importing.rules import TRAINING_ONLY, Rule, left_out, numbered

ANCHORS = ("classifier.4.weight",)
_OTHER = (
    "its head is that of torchvision's DeepLabv3 or LR-ASPP, which geoseg does not have; "
    "geoseg.wrap runs it as it is, and --encoder-only takes its encoder"
)
OTHER_ANCHORS = ("classifier.0.convs.0.0.weight", "classifier.high_classifier.weight")


def read(tensors: Mapping[str, Tensor]) -> Blueprint:
    """FCN over a ResNet; of DeepLabv3 and LR-ASPP, whose heads geoseg lacks, the encoder alone."""
    if any(name in tensors for name in OTHER_ANCHORS):
        return Blueprint("fcn", "", (), "backbone", refusal=_OTHER)
    rules = (
        *numbered("classifier", "head.reduce"),
        Rule("classifier.4", "head.classify.conv"),
        *left_out(TRAINING_ONLY, "aux_classifier"),
    )
    options = {"channels": width_of(tensors, "classifier.0.weight")}
    return Blueprint("fcn", "classifier.4.weight", rules, "backbone", options=options)
