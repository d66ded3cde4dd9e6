"""How a network is trained: all numbers of a recipe, checked when it is made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic.dataclasses import dataclass

from geoseg.errors import ConfigError

_MOST_TILES = 8
"""Times that a side of a patch, as it is read, may be as long as that of the nearest tile."""
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Side = Annotated[int, Field(ge=8)]
# Distinguished by their form, so that an error names the form that was given.
Crop = Annotated[
    Annotated[Side, Tag("side")] | Annotated[tuple[Side, Side], Tag("sides")],
    Discriminator(lambda value: "sides" if isinstance(value, list | tuple) else "side"),
]
Loss = Literal["cross_entropy", "dice", "focal", "lovasz", "ohem"]


def _as_weights(value: Any) -> Any:
    """A loss, or several, in full: each with its weight."""
    names = value if isinstance(value, list | tuple) else [value]
    return dict.fromkeys(names, 1.0) if all(isinstance(name, str) for name in names) else value


@dataclass(frozen=True, config=_STRICT)
class Augment:
    """Random changes of a patch; every one keeps the labels true."""

    flip: bool = True
    """Mirror left-right with probability 0.5."""
    turn: bool = True
    """Turn by 0, 90, 180 or 270 degrees: aerial images have no top. Square patches only."""
    scale: tuple[Positive, Positive] = (1.0, 1.0)
    """Zoom by a factor between these, drawn evenly on a logarithmic axis."""
    brightness: Fraction = 0.0
    """Shift by up to this share of the value range."""
    contrast: Fraction = 0.0
    """Stretch each band about its mean in the patch by a factor of 1 ± this."""

    def __post_init__(self) -> None:
        if self.scale[0] > self.scale[1]:
            raise ValueError(
                f"scale {list(self.scale)}: the first factor must not be above the second"
            )


@dataclass(frozen=True, config=_STRICT)
class Recipe:
    """One training run."""

    steps: Annotated[int, Field(ge=1)] = 10_000
    """Optimizer steps, the unit of the schedule."""
    batch: Annotated[int, Field(ge=1)] = 8
    """Patches per step, over all processes."""
    accumulate: Annotated[int, Field(ge=1)] = 1
    """Parts in which a batch is processed, if a whole batch does not fit into memory."""
    crop: Crop = 512
    """Side of the square patches, or their height and width, in pixels."""
    sampling: Literal["uniform", "balanced"] = "uniform"
    """Patches from anywhere, or around labelled pixels, those of each class equally often."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: Positive = 0.01
    """At the start of the schedule (after the warm-up)."""
    encoder_lr_factor: Annotated[float, Field(ge=0)] = 1.0
    """The encoder's learning rate as a multiple of the head's; below 1 for a pretrained one."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of SGD; AdamW keeps its usual betas."""
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    decay_norms: bool = True
    """Whether the weight decay also pulls biases and normalisation (all that has one axis)."""
    schedule: Literal["poly", "linear"] = "poly"
    """The rate falls as ``(1 - step / steps) ** power``; linear is a power of 1."""
    power: Annotated[float, Field(ge=0)] = 0.9
    warmup: Annotated[int, Field(ge=0)] = 0
    """Steps over which the rate first rises from zero in a straight line."""
    clip: Positive | None = None
    """Longer gradients (their norm over all weights) are shortened to this."""
    ema: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Decay per step of a moving average of the weights, which is then validated and saved; 0 or
    null: none."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Decides the initial weights, the patches and their augmentation."""
    loss: Annotated[dict[Loss, Positive], BeforeValidator(_as_weights), Field(min_length=1)] = (
        Field(default_factory=lambda: _as_weights("cross_entropy"))
    )
    """Of the main logits: a name, several, or each with its weight. Auxiliary logits keep the
    papers' cross-entropy."""
    focal_gamma: Annotated[float, Field(ge=0)] = 2.0
    """Exponent of the focal loss: the higher, the less easy pixels count."""
    ohem_threshold: Annotated[float, Field(gt=0, le=1)] = 0.7
    """A pixel is hard where its true class has at most this probability."""
    ohem_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """At least this share of the labelled pixels counts as hard."""
    class_weights: Literal["median", "none"] | tuple[Positive, ...] = "median"
    """Median-frequency weights from the training labels, none, or one number per class."""
    class_weight_range: tuple[Positive, Positive] = (0.1, 10.0)
    """Median-frequency weights are clipped to this."""
    aux_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Weights of auxiliary losses by name, if they differ from the papers'."""
    augment: Augment = Augment()
    validate_every: Annotated[int, Field(ge=1)] = 1_000
    """Steps between validations; each also saves the state that ``--resume`` continues from."""
    save_every: Annotated[int, Field(ge=1)] | None = None
    """Steps between additional saved states; null: none."""
    best_by: str = "mean_iou"
    """The metric by which the best network is kept: mean_iou, mean_f1, overall_accuracy, or iou_
    and a class."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Validations without a better value after which the training ends; null: never."""
    pictures: Annotated[int, Field(ge=0)] = 4
    """Validation tiles that are drawn at each validation."""
    log_every: Annotated[int, Field(ge=1)] = 20
    """Steps that one row of ``metrics.csv`` averages over."""
    tensorboard: bool = False
    """Also write the metrics for TensorBoard."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes that read patches; 0 reads in a background thread."""
    cache: Annotated[float, Field(ge=0)] = 2.0
    """GiB. Training rasters that fit together are kept in memory; otherwise files are read."""
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"

    def __post_init__(self) -> None:
        if self.warmup >= self.steps:
            raise ValueError(
                f"warmup of {self.warmup} steps leaves nothing of {self.steps} steps; "
                f"set train.warmup below {self.steps}, say to {self.steps // 10}"
            )
        if self.batch % self.accumulate:
            raise ValueError(
                f"batch of {self.batch} does not split into {self.accumulate} parts; "
                "change accumulate"
            )
        height, width = self.crop_size
        if height != width and self.augment.turn:
            raise ValueError(
                f"crop {[height, width]} is not square, so that patches cannot be turned; "
                "set augment.turn to false"
            )
        if self.class_weight_range[0] > self.class_weight_range[1]:
            raise ValueError("class_weight_range: the first number must not be above the second")

    @property
    def crop_size(self) -> tuple[int, int]:
        """Height and width of the patches."""
        return (self.crop, self.crop) if isinstance(self.crop, int) else self.crop

    def refuse_large_crop(self, tiles: Iterable[tuple[int, int]]) -> None:
        """Refuse patches of which nearly nothing would be a tile's: no memory may hold them.

        Args:
            tiles: height and width of each training tile, in pixels.

        Raises:
            ConfigError: a side is more than eight times that of the tile nearest in size.
        """
        height, width = self._nearest(tiles)
        zoom = self.augment.scale[0]
        rows, cols = (round(side / zoom) for side in self.crop_size)
        if rows <= _MOST_TILES * height and cols <= _MOST_TILES * width:
            return
        given = self.crop if isinstance(self.crop, int) else list(self.crop)
        scaled = "" if zoom == 1 else f" (at the lower end of train.augment.scale, {zoom:g})"
        narrower = ", or narrow train.augment.scale" if zoom < 1 else ""
        fitting = max(8, int(min(height, width) * zoom))
        raise ConfigError(
            f"train.crop {given}: patches of {rows} x {cols} pixels{scaled} of tiles of {height} x "
            f"{width} at most; a crop of {fitting} lies inside them: choose that or less{narrower}"
        )

    def padding_warnings(self, multiple: int, tiles: Iterable[tuple[int, int]]) -> list[str]:
        """Warnings where crops fit neither the network nor the tiles.

        Args:
            multiple: of pixels, of which the network takes sides.
            tiles: height and width of each training tile, in pixels.
        """
        warnings = []
        height, width = self._nearest(tiles)
        rows, cols = self.crop_size
        if rows > height or cols > width:
            warnings.append(
                f"crops of {rows} x {cols} pixels are larger than all training tiles ({height} x "
                f"{width} at most): what lies beyond a tile is mirrored, and has no label"
            )
        for side in self.crop_size:
            below = side // multiple * multiple
            if below != side:
                fitting = " or ".join(str(each) for each in (below, below + multiple) if each)
                warnings.append(
                    f"crops of {side} pixels are padded to multiples of {multiple}, as the encoder "
                    f"needs them; {fitting} would fit"
                )
                break
        return warnings

    def _nearest(self, tiles: Iterable[tuple[int, int]]) -> tuple[int, int]:
        """Height and width of the tile that fills most of a crop's sides."""
        rows, cols = self.crop_size
        return max(tiles, key=lambda tile: min(tile[0] / rows, tile[1] / cols))
