"""What `geoseg import` reads: the names of ``--as``, and how a file becomes a `Blueprint`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from geoseg.errors import ModelError
from geoseg.importing import mmsegmentation, ocr, smp_networks, sssegmentation, torchvision_networks
from geoseg.importing.blueprint import Blueprint
from geoseg.importing.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Stated:
    """What the user says of the network, since tensors do not."""

    system: str | None = None
    """One of `geoseg.systems()`, for smp's state dicts."""
    encoder: str | None = None
    """By smp's or timm's name."""
    output_stride: int | None = None
    """Of the encoder."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the system; they come before those that the file tells."""


Reader = Callable[[Checkpoint, Stated], Blueprint]


@dataclass(frozen=True, slots=True)
class Format:
    """Networks of one origin."""

    what: str
    """For messages."""
    anchors: Sequence[str]
    """Names of tensors, one of which its networks have."""
    read: Reader


FORMATS: dict[str, Format] = {
    "smp": Format(
        "network of segmentation-models-pytorch",
        smp_networks.ANCHORS,
        lambda file, stated: smp_networks.read(file.tensors, stated.system, file.config),
    ),
    "torchvision": Format(
        "segmentation network of torchvision",
        (*torchvision_networks.ANCHORS, *torchvision_networks.OTHER_ANCHORS),
        lambda file, _: torchvision_networks.read(file.tensors),
    ),
    "openseg": Format(
        "OCRNet of openseg.pytorch",
        ocr.OPENSEG_ANCHORS,
        lambda file, _: ocr.read_openseg(file.tensors),
    ),
    "hrnet-ocr": Format(
        "OCRNet of HRNet's code", ocr.HRNET_ANCHORS, lambda file, _: ocr.read_hrnet(file.tensors)
    ),
    "mmsegmentation": Format(
        "network of mmsegmentation with a head of one classifier",
        mmsegmentation.ANCHORS,
        lambda file, stated: mmsegmentation.read(file.tensors, stated.encoder),
    ),
    "sssegmentation": Format(
        "ISNet of sssegmentation",
        sssegmentation.ANCHORS,
        lambda file, _: sssegmentation.read(file.tensors),
    ),
}
"""Those with networks; encoders alone are of ``torchvision`` and ``torchgeo``."""


def read_network(kind: str, file: Checkpoint, stated: Stated) -> tuple[Checkpoint, Blueprint]:
    """The file under the network's own names, and what they say.

    Args:
        kind: a name in `FORMATS`.
        file: as it was read.
        stated: by the user.

    Raises:
        ModelError: it is no such network; the message says what it may be.
    """
    form = FORMATS[kind]
    try:
        inner = file.unwrapped(form.anchors, form.what)
    except ModelError as error:
        other = next((name for name in FORMATS if is_of(name, file)), None)
        if other is None:
            raise
        raise ModelError(
            f"{file.path}: is no {form.what}; its names ask for --as {other}"
        ) from error
    try:
        return inner, form.read(inner, stated)
    except ModelError as error:
        raise ModelError(f"{file.path}: {error}") from error


def is_of(kind: str, file: Checkpoint) -> bool:
    """Whether a file has the names of this origin's networks."""
    return file.has(FORMATS[kind].anchors)
