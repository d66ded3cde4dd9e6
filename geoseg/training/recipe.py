"""How a network is trained: all the numbers of a recipe, refused at birth where they make no sense."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, config=_STRICT)
class Augment:
    """Random changes of a patch; every one keeps the labels true."""

    flip: bool = True
    """Mirror left-right, half of the time."""
    turn: bool = True
    """Turn by 0, 90, 180 or 270 degrees: imagery from above has no upright."""
    scale: tuple[Positive, Positive] = (1.0, 1.0)
    """Zoom by a factor between these, drawn evenly on a logarithmic axis."""
    brightness: Fraction = 0.0
    """Shift by up to this share of the value range."""
    contrast: Fraction = 0.0
    """Stretch each band about its mean in the patch by a factor of 1 ± this."""

    def __post_init__(self) -> None:
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale {list(self.scale)}: the first factor must not be above the second")


@dataclass(frozen=True, config=_STRICT)
class Recipe:
    """One training run."""

    steps: Annotated[int, Field(ge=1)] = 10_000
    """Optimizer steps, the unit of the schedule."""
    batch: Annotated[int, Field(ge=1)] = 8
    """Patches a step."""
    crop: Annotated[int, Field(ge=8)] = 512
    """Side of the square patches, pixels."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: Positive = 0.01
    """At the start of the schedule (after the warm-up)."""
    encoder_lr_factor: Annotated[float, Field(ge=0)] = 1.0
    """The encoder learns at this times the rate of the head; below 1 for a pretrained one."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of SGD; AdamW keeps its usual betas."""
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    power: Annotated[float, Field(ge=0)] = 0.9
    """The rate falls as ``(1 - step / steps) ** power``."""
    warmup: Annotated[int, Field(ge=0)] = 0
    """Steps over which the rate first rises from zero in a straight line."""
    ema: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Decay a step of the moving average of the weights, which is then what is judged and saved; 0 or null: none."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Decides the initial weights, the patches and their augmentation."""
    class_weights: Literal["median", "none"] | tuple[Positive, ...] = "median"
    """Median-frequency weights from the training labels, none, or one number a class."""
    class_weight_range: tuple[Positive, Positive] = (0.1, 10.0)
    """Median-frequency weights are clipped to this."""
    aux_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Weights of auxiliary losses by name, where they shall differ from the papers'."""
    augment: Augment = Augment()
    validate_every: Annotated[int, Field(ge=1)] = 1_000
    """Steps between validations; each also saves the state that ``--resume`` continues from."""
    log_every: Annotated[int, Field(ge=1)] = 20
    """Steps that one row of ``metrics.csv`` averages over."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes that read patches; 0 reads in a background thread."""
    cache: Annotated[float, Field(ge=0)] = 2.0
    """GiB: training rasters that fit together are kept in memory, larger ones are read from their files."""
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"

    def __post_init__(self) -> None:
        if self.warmup >= self.steps:
            raise ValueError(f"warmup of {self.warmup} steps leaves nothing of {self.steps} steps; use fewer")
        if self.class_weight_range[0] > self.class_weight_range[1]:
            raise ValueError("class_weight_range: the first number must not be above the second")
