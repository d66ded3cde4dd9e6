"""The spec: all that a network is built from, except its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from geoseg.classes import MAX_CLASSES
from geoseg.errors import ModelError, shown
from geoseg.models.context import HEADS

DEFAULT_ENCODER = "resnet50"
SMP_SYSTEMS = (
    *("smp.unet", "smp.unetplusplus", "smp.manet", "smp.linknet", "smp.fpn", "smp.pspnet"),
    *("smp.deeplabv3", "smp.deeplabv3plus", "smp.pan", "smp.upernet", "smp.segformer", "smp.dpt"),
)
"""The decoders of segmentation-models-pytorch. Listed, as asking it takes seconds."""

EXTERNAL = "external"
"""The system of networks that geoseg does not build: modules, ONNX files, exported programs."""


def systems() -> tuple[str, ...]:
    """The names that `create_model` takes: context systems, baselines, and smp's own decoders."""
    return (*HEADS, *SMP_SYSTEMS)


@dataclass(frozen=True)
class ModelSpec:
    """All that a network is built from, except its weights.

    The spec of an existing network, in `Segmenter.spec` and in a card, has the number of its output
    stride and names all options: what a preset means may change, a network may not.

    Raises:
        ModelError: there is no such system, or a number does not fit; the message says what would.
    """

    system: str
    """One of `systems()`."""
    encoder: str | None
    """smp's name of the encoder; None for a system that takes the image itself."""
    output_stride: Annotated[int, Field(strict=True)] | None
    """Pixels from one position of the encoder's deepest map to the next; None asks for the finest
    that it has."""
    in_channels: Annotated[int, Field(strict=True)]
    """Bands of the image."""
    classes: Annotated[int, Field(strict=True)]
    """Number of classes."""
    preset: str = "geoseg"
    """The reading of the system's paper."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The system's options that differ from the preset's."""

    def __post_init__(self) -> None:
        # JSON and YAML have lists where options are tuples.
        options = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in self.options.items()
        }
        object.__setattr__(self, "options", options)
        if self.system != EXTERNAL:
            check_system(self.system)
        for name in ("in_channels", "classes"):
            if type(number := getattr(self, name)) is not int:
                raise ModelError(f"{name}={shown(number)}: give a whole number")
        if not isinstance(self.encoder, str | None):
            raise ModelError(f"encoder={shown(self.encoder)}: give a name, such as resnet50")
        if self.in_channels < 1:
            raise ModelError(f"in_channels={self.in_channels}: an image has 1 band or more")
        if not 1 <= self.classes <= MAX_CLASSES:
            raise ModelError(f"classes={self.classes}: give 1 to {MAX_CLASSES}")
        if self.output_stride not in (None, 1, 4, 7, 8, 14, 16, 32):
            raise ModelError(
                f"output_stride={self.output_stride}: give 8, 16 or 32 (7 or 14 where an encoder "
                "has patches of 14 pixels), or leave it out"
            )

    def check_choices(self) -> None:
        """Refuse a preset, an option or an encoder that the system does not have.

        A spec does not do this itself: the systems' own code, which knows it, imports torch.

        Raises:
            ModelError: the message says what the system has.
        """
        if self.system == EXTERNAL:
            raise ModelError("the network is another program's; geoseg cannot build it")
        if self.system in SMP_SYSTEMS:
            from geoseg.models.smp_decoders import check_options

            if self.preset != "geoseg":
                raise ModelError(f"{self.system} has no preset {shown(self.preset)}; it has geoseg")
            check_options(self.system, self.options)
        else:
            HEADS[self.system].choose_options(self.preset, self.options)
        if takes_encoder(self.system):
            if self.encoder is None:
                raise ModelError(f"{self.system} needs an encoder, such as resnet50")
        elif self.encoder is not None or self.output_stride not in (None, 1):
            raise ModelError(
                f"{self.system} takes the image itself; leave encoder and output_stride out"
            )


def check_system(name: str) -> str:
    """The name itself, if it is one of `systems()`.

    Raises:
        ModelError: the message has those that there are.
    """
    if name not in systems():
        raise ModelError(f"there is no system {shown(name)}; there are {', '.join(systems())}")
    return name


def takes_encoder(system: str) -> bool:
    """Whether a system works on an encoder's features; an unknown one does not."""
    return system in SMP_SYSTEMS or (system in HEADS and HEADS[system].stages > 0)


def make_spec(
    system: str,
    *,
    encoder: str | None = None,
    classes: int,
    in_channels: int = 3,
    output_stride: int | None = None,
    preset: str = "geoseg",
    **system_options: Any,
) -> ModelSpec:
    """The spec of what `create_model` would build, without building it.

    Raises:
        ModelError: a name, a number or an option does not fit; the message says what would.
    """
    if encoder is None and takes_encoder(system):
        encoder = DEFAULT_ENCODER
    spec = ModelSpec(system, encoder, output_stride, in_channels, classes, preset, system_options)
    spec.check_choices()
    return spec
