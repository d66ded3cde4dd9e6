"""Results of a training: the card of its model, the state so far, and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.classes import ClassScheme
from geoseg.datasets.drawn_features import DrawnFeatures, feature_counts, feature_warnings
from geoseg.datasets.statistics import Statistics
from geoseg.disks import in_the_way
from geoseg.errors import ConfigError, OutputError
from geoseg.models import Card, ModelSpec
from geoseg.places import refuse_folders
from geoseg.report import Report, shorten
from geoseg.value_ranges import ValueRange, per_band

if TYPE_CHECKING:
    from geoseg.models import Segmenter

CONFIG = "config.yaml"
"""The resolved config in the run folder, as the run began: its first file."""
CONFIG_MARK = "# The config of this run, as geoseg train resolved it."
"""Its first line: the other files of the folder are this run's."""
MODEL = "model.safetensors"
STATE = "last.safetensors"
"""The state that ``--resume`` continues from, in the run folder."""
TABLE, CURVES = "metrics.csv", "curves.png"
"""Loss and metrics by step, likewise."""
PICTURES = "pictures"
"""The folder of the pages of validations, likewise."""


def refuse_foreign_files(folder: Path) -> None:
    """Refuse to replace files that are not those of a training that began here.

    Raises:
        OutputError: with the first of them; or what is in its place is of another kind.
    """
    config = folder / CONFIG
    refuse_folders(folder / name for name in (CONFIG, TABLE, CURVES))
    if config.is_file() and config.read_bytes().startswith(CONFIG_MARK.encode()):
        if words := in_the_way(folder / PICTURES):
            raise OutputError(f"{words}; move it away, or choose another --out")
        return
    for name in (CONFIG, TABLE, CURVES, PICTURES):
        if (folder / name).exists():
            raise OutputError(
                f"{folder / name} exists and was not written by geoseg train; move it away, "
                "or choose another --out"
            )


def make_card(
    spec: ModelSpec,
    scheme: ClassScheme,
    bands: Sequence[str],
    value_range: ValueRange,
    statistics: Statistics,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    training: Mapping[str, Any],
    **more: Any,
) -> Card:
    """A card for a network that is trained on these rasters.

    Args:
        spec: of the network.
        scheme: its classes.
        bands: names of its bands.
        value_range: of the rasters' values, or of each band's.
        statistics: of the training rasters.
        mean: of each band, instead of the measured one.
        std: likewise.
        training: where the model comes from; completed with the pixels of each class.
        more: other fields of the card: `window`, `overlap`, `ground_sampling`, `license`.

    Raises:
        ConfigError: the rasters hold values outside `value_range`, or there is not one mean and one
            standard deviation for each band.
    """
    _refuse_other_values(bands, value_range, statistics)
    for key, values in (("mean", mean), ("std", std)):
        if values and len(values) != len(bands):
            raise ConfigError(
                f"data.{key}: {len(values)} numbers for {len(bands)} bands; give one for each band"
            )
    class_pixels = dict(zip(scheme.names, statistics.class_pixels, strict=True))
    return Card(
        spec=spec,
        classes=scheme,
        bands=tuple(bands),
        value_range=value_range,
        mean=tuple(mean or statistics.mean.tolist()),
        std=tuple(std or statistics.std.tolist()),
        training={**training, "class_pixels": class_pixels},
        **more,
    )


def _refuse_other_values(
    bands: Sequence[str], value_range: ValueRange, statistics: Statistics
) -> None:
    """Refuse values outside of the range that is given for them."""
    ranges = per_band(value_range, len(bands))
    for pair in dict.fromkeys(ranges):
        those = [place for place, each in enumerate(ranges) if each == pair]
        low, high = statistics.low[those].min(), statistics.high[those].max()
        if not pair[0] <= low <= high <= pair[1]:
            in_bands = (
                "" if len(those) == len(bands) else f" in {shorten((bands[i] for i in those), 20)}"
            )
            raise ConfigError(
                f"data.value_range: {list(pair)}, but the training rasters hold {low:g} to "
                f"{high:g}{in_bands}; give the range of their values"
            )


@dataclass
class Outcome:
    """Steps, the best validation, and where the time went."""

    step: int = 0
    """Steps done."""
    best_step: int = 0
    """The step whose network is in the model file."""
    best: dict[str, Any] = field(default_factory=dict)
    """Its validation metrics; empty without validation tiles."""
    compute: float = 0.0
    """Seconds in forward, backward and optimizer."""
    wait: float = 0.0
    """Seconds waiting for patches."""
    validation: float = 0.0
    """Seconds validating."""

    @property
    def compute_share(self) -> float:
        """Share of the training time (validation left out) that the network itself took."""
        return self.compute / (self.compute + self.wait) if self.compute else 1.0


def training_report(
    folder: Path,
    outcome: Outcome,
    net: Segmenter,
    classes: Sequence[str],
    warnings: list[str],
    drawn: Sequence[DrawnFeatures] = (),
) -> Report:
    """What ``geoseg train`` reports: the model file, its metrics, and the time it took.

    `drawn` says what became of the features of label polygons, tile by tile.
    """
    seconds = {
        "compute": outcome.compute,
        "wait": outcome.wait,
        "validation": outcome.validation,
        "total": outcome.compute + outcome.wait + outcome.validation,
    }
    parameters = {
        "encoder": sum(part.numel() for part in net.encoder_parameters()),
        "all": sum(part.numel() for part in net.parameters()),
    }
    lines = [
        f"{folder / MODEL}: {parameters['all']:,} parameters, "
        f"step {outcome.best_step} of {outcome.step}",
        *(_metric_lines(outcome.best, classes) if outcome.best else []),
        f"{seconds['total']:,.0f} s, {outcome.validation:,.0f} s of them validating; "
        f"{outcome.compute_share:.1%} of the training time in forward and backward",
    ]
    data = {
        "model": str(folder / MODEL),
        "best_step": outcome.best_step,
        "steps": outcome.step,
        "validation": outcome.best,
        "parameters": parameters,
        "seconds": seconds,
        "compute_share": outcome.compute_share,
        "warnings": feature_warnings(drawn) + warnings,
        "label_files": feature_counts(drawn),
    }
    return Report("\n".join(lines), data)


def _metric_lines(metrics: Mapping[str, Any], classes: Sequence[str]) -> list[str]:
    width = max(map(len, classes))
    iou, f1 = metrics["iou"], metrics["f1"]
    return [
        *(
            f"  {name:<{width}}  IoU {_number(iou[name])}  F1 {_number(f1[name])}"
            for name in classes
        ),
        f"mean IoU {_number(metrics['mean_iou'])}, mean F1 {_number(metrics['mean_f1'])}, "
        f"overall accuracy {_number(metrics['overall_accuracy'])} on the validation tiles",
    ]


def _number(value: float | None) -> str:
    return "   -  " if value is None else f"{value:.4f}"
