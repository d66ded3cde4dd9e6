"""A model from labelled rasters, as a config says.

The story: read the config; pair and check the files; look at every training pixel once; make the network; train it,
judging it on whole tiles; leave the best one as a model file, with the figures beside it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

import geoseg
from geoseg.config import Data, TrainConfig, dump_config, load_config
from geoseg.datasets.label_reader import hidden_warnings
from geoseg.datasets.sources import (
    Bands,
    absent_warnings,
    choose_bands,
    choose_value_range,
    find_pairs,
    open_tiles,
    sampling_warnings,
    typical_sampling,
)
from geoseg.datasets.statistics import PixelSample, Statistics, check_labels, collect_statistics
from geoseg.datasets.tiles import Tile
from geoseg.errors import ConfigError, OutputError
from geoseg.files import lock_folder, replace_file
from geoseg.inference.predictor import choose_device, choose_precision
from geoseg.models import Card, Segmenter, create_model
from geoseg.progress import Progress
from geoseg.raster import open_raster
from geoseg.report import Report
from geoseg.training.board import require_tensorboard
from geoseg.training.loop import MODEL, STATE, Outcome, fit
from geoseg.training.losses import choose_class_weights
from geoseg.training.patches import Patches
from geoseg.training.sampling import choose_sampler
from geoseg.training.transfer import start_from

CONFIG = "config.yaml"
"""The resolved config in the run folder, as the run began."""
FREE = (
    "device",
    "precision",
    "workers",
    "cache",
    "patience",
    "pictures",
    "save_every",
    "tensorboard",
)
"""Keys of ``train`` that a resumed run may change: they do not touch what is learnt in a step."""


def run(
    config: str | os.PathLike[str] | Mapping[str, Any] | TrainConfig,
    *,
    out: str | os.PathLike[str] | None = None,
    overrides: Iterable[str] = (),
    resume: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Train a model.

    Args:
        config: a YAML file, the mapping that it would hold, or a config that is already read.
        out: run folder; ``runs/<config>`` by default (``runs/train`` for a mapping).
        overrides: ``key.path=value`` each, over the file or mapping.
        resume: go on with the run that stands in the run folder; without one, begin.
        progress: who listens; nobody by default.

    Returns:
        Figures of the best model; `data` also names the files of the run folder.

    Raises:
        ConfigError: the config is wrong or does not fit the files; nothing was begun.
        SourceError: a raster or its labels cannot be used.
        OutputError: another run stands in the run folder or writes into it, or it cannot be written.
    """
    chosen = config if isinstance(config, TrainConfig) else load_config(config, overrides)
    listener = progress or Progress()
    folder = Path(out) if out is not None else Path("runs") / _name(config)
    with _ours(folder):
        return _trained(chosen, folder, resume, listener)


def _ours(folder: Path) -> AbstractContextManager[None]:
    """The run folder, ours alone; of several processes that train together the first one holds it for all."""
    return lock_folder(folder) if _chief() else nullcontext()


def _chief() -> bool:
    """Whether this process is the one that writes, of several that train together."""
    return os.environ.get("RANK", "0") == "0"


def _trained(chosen: TrainConfig, folder: Path, resume: bool, listener: Progress) -> Report:
    resume = _may_begin(folder, chosen, resume)
    if chosen.train.tensorboard:
        require_tensorboard()
    bands, train, val = _tiles(chosen.data)
    value_range = choose_value_range(chosen.data.value_range, train)
    # What can be refused without a look at the pixels is refused before it: on a large data set that takes minutes.
    choose_precision(chosen.train.precision, choose_device(chosen.train.device))
    torch.manual_seed(chosen.train.seed)
    net = _network(chosen, len(bands.names), fresh=not resume)
    if chosen.model.start_from is not None and not resume:
        listener.note(
            start_from(chosen.model.start_from, net, chosen.data.scheme.names, bands.names)
        )
    sample = PixelSample(len(chosen.data.classes), seed=chosen.train.seed)
    found = _statistics(train, val, chosen, listener, sample)
    listener.note(_summary(chosen, train, val, found))
    warnings = sampling_warnings(train) + absent_warnings(
        chosen.data.scheme.names, found.class_counts.tolist()
    )
    warnings += hidden_warnings((tile.labels for tile in train + val), chosen.data.scheme)
    card = _card(chosen, net, bands, value_range, train, found)
    weights = choose_class_weights(chosen.train, found.class_counts)
    if _chief() and not resume:
        _write_config(folder, chosen)
    sampler = choose_sampler(chosen.train, train, sample.places)
    patches = Patches(train, card.classes, chosen.train, value_range, sampler)
    outcome = fit(
        net, card, patches, val, chosen.train, weights, folder, resume=resume, progress=listener
    )
    return _report(folder, outcome, net, card, warnings)


def _name(config: object) -> str:
    return Path(config).stem if isinstance(config, str | os.PathLike) else "train"


def _may_begin(folder: Path, config: TrainConfig, resume: bool) -> bool:
    """Whether to resume; refuses to train over another run."""
    stands = (folder / STATE).exists()
    if not resume and (stands or (folder / MODEL).exists()):
        raise OutputError(
            f"{folder}: holds a training already; --resume continues it, another --out keeps it"
        )
    if not (resume and stands):
        return False
    then, now = (
        _flat(part.model_dump(mode="json")) for part in (load_config(folder / CONFIG), config)
    )
    # Data may have moved since, and another machine may go on.
    free = ("compare", "data.train", "data.val", *(f"train.{key}" for key in FREE))
    for key in sorted(then.keys() | now.keys()):
        if then.get(key) != now.get(key) and not f"{key}.".startswith(
            tuple(f"{part}." for part in free)
        ):
            raise ConfigError(
                f"{key}: {now.get(key)!r}, but the run in {folder} began with {then.get(key)!r}; "
                "set it back, or start anew in another --out"
            )
    return True


def _flat(node: Any, path: str = "") -> dict[str, Any]:
    """``key.path: value`` of everything inside."""
    if not isinstance(node, Mapping):
        return {path: node}
    parts = (_flat(value, f"{path}.{key}" if path else key) for key, value in node.items())
    return {key: value for part in parts for key, value in part.items()}


def _tiles(data: Data) -> tuple[Bands, list[Tile], list[Tile]]:
    train, val = (
        find_pairs((entry.images, entry.labels) for entry in part)
        for part in (data.train, data.val)
    )
    bands = choose_bands(data.bands, open_raster(train[0][0]))
    return bands, open_tiles(train, bands), open_tiles(val, bands)


def _statistics(
    train: list[Tile], val: list[Tile], config: TrainConfig, listener: Progress, sample: PixelSample
) -> Statistics:
    scheme, wanted = config.data.scheme, sample if config.train.sampling == "balanced" else None
    listener.begin("reading the tiles", len(train) + len(val))
    try:
        check_labels(val, scheme, listener)
        return collect_statistics(train, scheme, listener, wanted)
    finally:
        listener.end()


def _summary(config: TrainConfig, train: list[Tile], val: list[Tile], found: Statistics) -> str:
    shares = found.class_counts / found.class_counts.sum()
    classes = ", ".join(
        f"{name} {share:.2%}" for name, share in zip(config.data.scheme.names, shares, strict=True)
    )
    return (
        f"{len(train)} training tiles with {found.class_counts.sum():,} labelled pixels ({classes}); "
        f"{len(val)} validation tiles"
    )


def _network(config: TrainConfig, in_channels: int, fresh: bool) -> Segmenter:
    """What the config describes; pretrained weights are looked for only where a run begins."""
    model = config.model
    return create_model(
        model.system,
        encoder=model.encoder,
        classes=len(config.data.classes),
        in_channels=in_channels,
        output_stride=model.output_stride,
        encoder_weights=model.encoder_weights if fresh else None,
        preset=model.preset,
        **model.options,
    )


def _card(
    config: TrainConfig,
    net: Segmenter,
    bands: Bands,
    value_range: tuple[float, float],
    train: list[Tile],
    found: Statistics,
) -> Card:
    """What the model file will say of itself."""
    data = config.data
    if not value_range[0] <= found.low <= found.high <= value_range[1]:
        raise ConfigError(
            f"data.value_range: {list(value_range)}, but the training rasters hold {found.low:g} to {found.high:g}; "
            "give the range of their values"
        )
    mean, std = (data.mean or found.mean, data.std or found.std)
    for key, figures in (("mean", mean), ("std", std)):
        if len(figures) != len(bands.names):
            raise ConfigError(
                f"data.{key}: {len(figures)} numbers for {len(bands.names)} bands; give one a band"
            )
    names = data.scheme.names
    return Card(
        spec=net.spec,
        classes=data.scheme,
        bands=bands.names,
        value_range=value_range,
        mean=mean,
        std=std,
        window=config.predict.window,
        overlap=config.predict.overlap,
        ground_sampling=data.ground_sampling or typical_sampling(train),
        training={
            "geoseg": geoseg.__version__,
            "start_from": None
            if config.model.start_from is None
            else Path(config.model.start_from).name,
            "config_sha256": hashlib.sha256(dump_config(config).encode()).hexdigest(),
            "steps": config.train.steps,
            "tiles": len(train),
            "class_pixels": dict(zip(names, found.class_counts.tolist(), strict=True)),
        },
        license=config.model.license,
    )


def _write_config(folder: Path, config: TrainConfig) -> None:
    with replace_file(folder / CONFIG) as made:
        made.write_text(dump_config(config), encoding="utf-8")


def _report(
    folder: Path, outcome: Outcome, net: Segmenter, card: Card, warnings: list[str]
) -> Report:
    total = outcome.compute + outcome.wait + outcome.validation
    parameters = {
        "encoder": 0
        if net.encoder is None
        else sum(part.numel() for part in net.encoder.parameters()),
        "all": sum(part.numel() for part in net.parameters()),
    }
    lines = [
        f"{folder / MODEL}: {parameters['all']:,} parameters, step {outcome.best_step} of {outcome.step}"
    ]
    if outcome.best:
        width = max(map(len, card.classes.names))
        lines += [
            f"  {name:<{width}}  IoU {_figure(outcome.best['iou'][name])}  F1 {_figure(outcome.best['f1'][name])}"
            for name in card.classes.names
        ]
        lines.append(
            f"mean IoU {_figure(outcome.best['mean_iou'])}, mean F1 {_figure(outcome.best['mean_f1'])}, "
            f"overall accuracy {_figure(outcome.best['overall_accuracy'])} on the validation tiles"
        )
    lines.append(
        f"{total:,.0f} s, {outcome.validation:,.0f} s of them validating; "
        f"{outcome.compute_share:.1%} of the training time in forward and backward"
    )
    data = {
        "model": str(folder / MODEL),
        "best_step": outcome.best_step,
        "steps": outcome.step,
        "validation": outcome.best,
        "parameters": parameters,
        "seconds": {
            "compute": outcome.compute,
            "wait": outcome.wait,
            "validation": outcome.validation,
            "total": total,
        },
        "compute_share": outcome.compute_share,
        "warnings": warnings,
    }
    return Report("\n".join(lines), data)


def _figure(figure: float | None) -> str:
    return "   -  " if figure is None else f"{figure:.4f}"
