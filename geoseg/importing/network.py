"""A network, or its encoder, made of a file's tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from geoseg.classes import ClassScheme
from geoseg.errors import ModelError
from geoseg.importing.blueprint import Blueprint
from geoseg.importing.checkpoint import Checkpoint
from geoseg.importing.encoders import ANCHORS, encoder_rules, of_images, root_of
from geoseg.importing.formats import Stated
from geoseg.importing.placing import LEFT_OUT, Entry, Placing, Wishes
from geoseg.importing.rules import Rule
from geoseg.models import Segmenter
from geoseg.models.encoder import Encoder, HRNetEncoder, build_encoder
from geoseg.models.segmenter import build_segmenter
from geoseg.models.spec import SMP_SYSTEMS, ModelSpec

_OWN_STRIDE = 32
_BASIC = ("tu-resnet18", "tu-resnet34", "tu-resnet10", "tu-resnet14")
"""ResNets of basic blocks, in which mmsegmentation dilates one convolution of two."""
_NOT_ITS = "it is not the encoder's"
_BACKGROUND = "a class for the background before it: the softmax of 0, z is the sigmoid of z"


def build_network(
    file: Checkpoint,
    blueprint: Blueprint,
    stated: Stated,
    classes: ClassScheme,
    bands: Sequence[str],
    wishes: Wishes,
) -> tuple[Segmenter, list[Entry]]:
    """The network of a blueprint with the file's weights, and what became of each tensor.

    Args:
        file: under the network's own names.
        blueprint: what these say.
        stated: what the user says.
        classes: of the card.
        bands: of the card.
        wishes: what the user does without.

    Raises:
        ModelError: something is missing, or does not fit; the message says what to do.
    """
    if blueprint.refusal is not None:
        raise ModelError(f"{file.path}: {blueprint.refusal}")
    encoder = _encoder_of(file.path, blueprint, stated)
    blueprint = _for_classes(file, blueprint, classes)
    _check_bands(file, blueprint.encoder_source, bands)
    spec = ModelSpec(
        blueprint.system,
        encoder,
        stated.output_stride or blueprint.output_stride,
        len(bands),
        len(classes),
        blueprint.preset,
        {**blueprint.options, **stated.options},
    )
    net = build_segmenter(spec)
    _check_dilation(file.path, blueprint, net)
    wanted = net.state_dict()
    root = root_of(name for name in wanted if name.startswith("encoder."))
    rules = [*blueprint.rules, *encoder_rules(blueprint.encoder_source, root, file.tensors)]
    placing = Placing(str(file.path), f"{blueprint.system} over {encoder}", wanted, wishes)
    net.load_state_dict(placing.place(file.tensors, rules))
    return net.eval(), [*placing.entries(), *_outside(file)]


def build_encoder_alone(
    file: Checkpoint, blueprint: Blueprint | None, stated: Stated, wishes: Wishes
) -> tuple[Encoder | HRNetEncoder, list[Entry]]:
    """The encoder with the file's weights, and what became of each tensor.

    Args:
        file: under the network's, or the encoder's own names.
        blueprint: of the network; None for an encoder alone.
        stated: what the user says.
        wishes: what the user does without.

    Raises:
        ModelError: it does not fit; the message says what to do.
    """
    source = "" if blueprint is None else blueprint.encoder_source
    name = stated.encoder or (None if blueprint is None else blueprint.encoder)
    if name is None:
        raise ModelError(f"{file.path}: {_ENCODER_MISSING}")
    stem = _stem(file.tensors, source)
    bands = 3 if stem is None else int(stem.shape[1])
    encoder = build_encoder(name, in_channels=bands)
    wanted = encoder.state_dict()
    rules = [*encoder_rules(source, root_of(wanted), file.tensors), *of_images(source)]
    if source:
        rules.append(Rule("", None, note=_NOT_ITS))
    elif blueprint is not None:
        rules += [replace(rule, target=None, note=_NOT_ITS) for rule in blueprint.rules]
    placing = Placing(str(file.path), f"encoder {name}", wanted, wishes)
    encoder.load_state_dict(placing.place(file.tensors, rules))
    return encoder, [*placing.entries(), *_outside(file)]


_ENCODER_MISSING = (
    "its tensors do not say which encoder it has; give --encoder, such as tu-resnet50c "
    "(a stem of three convolutions), tu-resnet50 or tu-hrnet_w48"
)


def _encoder_of(path: Path, blueprint: Blueprint, stated: Stated) -> str:
    """The encoder's name, where file and user agree on it, and its stride is stated."""
    if blueprint.encoder is not None and stated.encoder not in (None, blueprint.encoder):
        raise ModelError(
            f"{path}: its configuration has the encoder {blueprint.encoder}, not {stated.encoder}; "
            "leave --encoder out"
        )
    name = stated.encoder or blueprint.encoder
    if name is None:
        raise ModelError(f"{path}: {_ENCODER_MISSING}")
    if blueprint.strided and stated.output_stride is None:
        raise ModelError(
            f"{path}: its tensors do not say at which stride the encoder runs; give "
            "--output-stride 8 (networks called d8), 16 or 32"
        )
    return name


def _for_classes(file: Checkpoint, blueprint: Blueprint, classes: ClassScheme) -> Blueprint:
    """The blueprint for as many classes as the card names."""
    weights = file.tensors.get(blueprint.classifier)
    if weights is None:
        raise ModelError(f"{file.path}: lacks {blueprint.classifier!r}; it is cut short")
    count = len(weights)
    if count == 1 and len(classes) == 2:
        last = blueprint.classifier.removesuffix(".weight")
        rule = next(each for each in blueprint.rules if each.fits(last))
        more = Rule(last, rule.place(last), _with_background, _BACKGROUND)
        return replace(blueprint, rules=(*(r for r in blueprint.rules if r.source != last), more))
    if count != len(classes):
        hint = ", or two, the first for the background" if count == 1 else ""
        raise ModelError(
            f"{file.path}: gives {count} classes, the card names {len(classes)} "
            f"({', '.join(classes.names[:4])}{', ...' * (len(classes) > 4)}); name {count} in the "
            f"card, in the file's order{hint}"
        )
    return blueprint


def _with_background(weights: Tensor) -> Tensor:
    """The last layer for one channel as that for two classes."""
    return torch.cat([torch.zeros_like(weights), weights])


def _stem(tensors: Mapping[str, Tensor], source: str) -> Tensor | None:
    """The weights of the encoder's first convolution, where its name is known."""
    start = f"{source}." if source else ""
    names = (f"{start}{name}" for name in (*ANCHORS, "resinit.conv1.weight"))
    return next((tensors[name] for name in names if name in tensors), None)


def _check_bands(file: Checkpoint, source: str, bands: Sequence[str]) -> None:
    stem = _stem(file.tensors, source)
    if stem is not None and stem.shape[1] != len(bands):
        raise ModelError(
            f"{file.path}: takes {stem.shape[1]} bands, the card names {len(bands)} "
            f"({', '.join(bands)}); name {stem.shape[1]} in the card, in the file's order"
        )


def _check_dilation(path: Path, blueprint: Blueprint, net: Segmenter) -> None:
    """Refuse encoders that are dilated here in another way than where the network was trained.

    In smp's own encoders the first block of a dilated stage is dilated as its others are.
    """
    name = str(net.spec.encoder)
    if blueprint.system in SMP_SYSTEMS or net.stride == _OWN_STRIDE:
        return
    if not name.startswith("tu-"):
        raise ModelError(
            f"{path}: encoder {name} is dilated in another way than in published networks; give "
            f"--encoder tu-{name}, timm's"
        )
    if name.startswith(_BASIC) and not blueprint.basic_blocks:
        raise ModelError(
            f"{path}: ResNets of basic blocks are dilated in another way there than {name} is; "
            "geoseg.wrap runs such a network as it is"
        )


def _outside(file: Checkpoint) -> list[Entry]:
    """What lay beside the network in its file."""
    if not file.outside:
        return []
    return [Entry("*", "", LEFT_OUT, "of the training, or no tensor", file.outside)]
