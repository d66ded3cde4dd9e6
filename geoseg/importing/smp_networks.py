"""Networks of segmentation-models-pytorch: what its configuration says, and its names."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import segmentation_models_pytorch as smp
from torch import Tensor

from geoseg.errors import ModelError, shown
from geoseg.importing.blueprint import Blueprint
from geoseg.importing.rules import Rule, left_out

ANCHORS = ("segmentation_head.0.weight",)
_CLASSIFIER = "segmentation_head.0.weight"
_RULES = (
    Rule("decoder", "head.decoder"),
    Rule("segmentation_head", "head.classify"),
    *left_out("it classifies whole images", "classification_head"),
)
_TAKEN = ("encoder_name", "encoder_output_stride", "classes", "in_channels")
_WITHOUT_EFFECT = ("encoder_weights", "aux_params", "activation")
"""Where the encoder began, a classifier of images, and what would follow the logits."""
_EXCLUSIVE = (None, "identity", "softmax", "softmax2d", "logsoftmax")
"""Activations after which the most likely class is that of the highest logit."""


def read(tensors: Mapping[str, Tensor], system: str | None, config: Mapping[str, Any]) -> Blueprint:
    """The network of a configuration, or a stated one.

    Args:
        tensors: by name.
        system: ``smp.unet`` and so on; None: what the configuration says.
        config: of ``save_pretrained``; empty for a state dict alone.

    Raises:
        ModelError: it is of no model of smp that geoseg builds, or asks for what geoseg does not
            build.
    """
    of_timm = any(name.startswith("encoder.model.") for name in tensors)
    source = "encoder.model" if of_timm else "encoder"
    if not config:
        if system is None or not system.startswith("smp."):
            raise ModelError(
                "a state dict does not say its architecture: give --system smp.unet or the like, "
                "and --encoder; a folder of save_pretrained says both"
            )
        strided = "encoder_output_stride" in _arguments(system)
        return Blueprint(system, _CLASSIFIER, _RULES, source, strided=strided)
    own = f"smp.{str(config.get('_model_class')).lower()}"
    if own.removeprefix("smp.") not in smp.MODEL_ARCHITECTURES_MAPPING:
        raise ModelError(
            f"its {shown(config.get('_model_class'))} is no model of segmentation-models-pytorch "
            f"that geoseg builds; there are {', '.join(smp.MODEL_ARCHITECTURES_MAPPING)}"
        )
    if system not in (None, own):
        raise ModelError(f"its configuration is of {own}, not {system}; leave --system out")
    stride = config.get("encoder_output_stride")
    return Blueprint(
        own,
        _CLASSIFIER,
        _RULES,
        source,
        options=_options(own, config),
        encoder=str(config.get("encoder_name")),
        output_stride=None if stride is None else int(stride),
        strided=False,
    )


def _arguments(system: str) -> dict[str, Any]:
    """What smp's model takes, with the defaults."""
    model = smp.MODEL_ARCHITECTURES_MAPPING[system.removeprefix("smp.")]
    return {
        name: parameter.default
        for name, parameter in inspect.signature(model.__init__).parameters.items()
    }


def _options(system: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The decoder's options; what else there is must have smp's own value."""
    if config.get("activation") not in _EXCLUSIVE:
        raise ModelError(
            f"its activation {shown(config['activation'])} is of classes that do not exclude one "
            "another; geoseg.wrap(net, output='sigmoid', ...) runs it as it is"
        )
    defaults, options = _arguments(system), {}
    for name, value in config.items():
        if name.startswith("_") or name in (*_TAKEN, *_WITHOUT_EFFECT):
            continue
        if name.startswith(("decoder_", "psp_")):
            options[name] = value
        elif name in defaults and value != defaults[name] and name != "dynamic_img_size":
            raise ModelError(
                f"its {name} is {shown(value)}; geoseg builds {system} with "
                f"{shown(defaults[name])}: geoseg.wrap runs it as it is"
            )
    return options
