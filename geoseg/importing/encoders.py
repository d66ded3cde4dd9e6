"""Encoders: their names in other programs, and files of their weights that training begins with.

Sources: torchvision's ``models``, timm, mmsegmentation's and openseg.pytorch's ResNets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from safetensors.torch import save
from torch import Tensor, nn

from geoseg.files import write_bytes
from geoseg.importing.rules import Rule, left_out

ANCHORS = (
    *("conv1.weight", "conv1.0.weight", "conv_stem.weight", "_conv_stem.weight"),
    *("stem.0.weight", "stem_0.weight", "stem.conv1.weight"),
    *("features.0.0.weight", "features.0.weight", "features.conv0.weight"),
    *("patch_embed.proj.weight", "patch_embed1.proj.weight"),
)
"""Names of the first convolutions of encoders."""
ENCODER_KEY = "geoseg_encoder"
"""The key, in the metadata of an encoder file, of what it holds."""
_STEM = {"0": "conv1.0", "1": "conv1.1", "3": "conv1.3", "4": "conv1.4", "6": "conv1.6", "7": "bn1"}
"""A stem of three convolutions in mmsegmentation and sssegmentation, and in timm."""
_OPENSEG_STEM = dict(
    zip(("conv1", "bn1", "conv2", "bn2", "conv3", "bn3"), _STEM.values(), strict=True)
)
_IMAGES = ("fc", "classifier", "head")
"""Classifiers of images."""


def encoder_rules(source: str, root: str, names: Iterable[str]) -> list[Rule]:
    """The rules of an encoder's tensors.

    Args:
        source: what stands before their names in the file.
        root: what does in the network.
        names: of all tensors of the file.
    """
    start = f"{source}." if source else ""
    inner = {name.removeprefix(start) for name in names if name.startswith(start)}
    below = [
        replace(
            rule,
            source=f"{start}{rule.source}",
            target=None if rule.target is None else f"{root}.{rule.target}",
        )
        for rule in _renamed(inner)
    ]
    return [*below, Rule(source, root)]


def of_images(source: str) -> list[Rule]:
    """The rules of the layers that classify images after an encoder."""
    start = f"{source}." if source else ""
    return left_out("it classifies whole images", *(f"{start}{name}" for name in _IMAGES))


def _renamed(names: set[str]) -> Iterator[Rule]:
    """Rules of what has another name in the encoder than in the file, where both have roots."""
    if "stem.7.running_mean" in names:
        yield from (Rule(f"stem.{old}", new) for old, new in _STEM.items())
    if "resinit.conv1.weight" in names:
        deep = "resinit.conv3.weight" in names
        stem = _OPENSEG_STEM if deep else {"conv1": "conv1", "bn1": "bn1"}
        yield from (Rule(f"resinit.{old}", new) for old, new in stem.items())
    if "features.1.0.layer_scale" in names:
        yield from _convnext(names)
    if "features.1.0.block.1.fc1.weight" in names:
        yield from _efficientnet(names)
    for name in names:  # of weights that are older than torchvision's own loading of them
        old = re.fullmatch(r"(.*denselayer\d+\.(?:norm|conv))\.(\d)\.(\w+)", name)
        if old is not None:
            yield Rule(name, f"{old[1]}{old[2]}.{old[3]}")


def _blocks(names: Iterable[str]) -> list[tuple[int, int]]:
    """Numbers of the stages and of their blocks in torchvision's ``features``."""
    found = (re.match(r"features\.(\d+)\.(\d+)\.block\.", name) for name in names)
    return sorted({(int(each[1]), int(each[2])) for each in found if each})


def _convnext(names: Iterable[str]) -> Iterator[Rule]:
    """From the names of ConvNeXt in torchvision to those in timm."""
    parts = {"0": "conv_dw", "2": "norm", "3": "mlp.fc1", "5": "mlp.fc2"}
    for number in range(2):
        yield Rule(f"features.0.{number}", f"stem_{number}")
        for stage in (1, 2, 3):
            yield Rule(f"features.{2 * stage}.{number}", f"stages_{stage}.downsample.{number}")
    for stage, block in _blocks(names):
        source, target = f"features.{stage}.{block}", f"stages_{stage // 2}.blocks.{block}"
        yield Rule(f"{source}.layer_scale", f"{target}.gamma", Tensor.flatten, "a vector")
        for old, new in parts.items():
            yield Rule(f"{source}.block.{old}", f"{target}.{new}")


def _efficientnet(names: set[str]) -> Iterator[Rule]:
    """From the names of EfficientNet in torchvision to those in timm."""
    yield Rule("features.0.0", "conv_stem")
    yield Rule("features.0.1", "bn1")
    stages = _blocks(names)
    for stage, block in stages:
        source, target = f"features.{stage}.{block}.block", f"blocks.{stage - 1}.{block}"
        expands = f"{source}.3.0.weight" in names
        kinds = (
            ("conv_pw", "conv_dw", "se", "conv_pwl") if expands else ("conv_dw", "se", "conv_pw")
        )
        norm = 0
        for number, kind in enumerate(kinds):
            if kind == "se":
                yield Rule(f"{source}.{number}.fc1", f"{target}.se.conv_reduce")
                yield Rule(f"{source}.{number}.fc2", f"{target}.se.conv_expand")
                continue
            norm += 1
            yield Rule(f"{source}.{number}.0", f"{target}.{kind}")
            yield Rule(f"{source}.{number}.1", f"{target}.bn{norm}")
    last = max(stage for stage, _ in stages) + 1
    yield from left_out("it classifies whole images", f"features.{last}")


def root_of(names: Iterable[str]) -> str:
    """What stands before an encoder's own names in a network's, or in those of a geoseg encoder."""
    parts = next(iter(names)).split(".")
    count = next(place for place, part in enumerate(parts) if part not in ("encoder", "model"))
    return ".".join(parts[:count])


def write_encoder(encoder: nn.Module, path: Path, facts: Mapping[str, object]) -> None:
    """Write an encoder file, which ``encoder_weights`` of a training takes.

    Args:
        encoder: with its weights.
        path: where to, ending in ``.safetensors``.
        facts: what it is and where it comes from.

    Raises:
        OutputError: the file cannot be written.
    """
    state = encoder.state_dict()
    root = f"{root_of(state)}."
    tensors = {name.removeprefix(root): tensor.contiguous() for name, tensor in state.items()}
    write_bytes(path, save(tensors, metadata={ENCODER_KEY: json.dumps(facts)}))
