"""A model from labelled rasters, as a config says.

The story: read the config; pair and check the files; make the network; look at every training pixel
once; train, validating on whole tiles; leave the best network as a model file, with the metrics
beside it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import geoseg
from geoseg.config import TrainConfig, dump_config, load_config, require_same_config
from geoseg.config_data import Data
from geoseg.datasets.drawn_features import DrawnFeatures
from geoseg.datasets.raster_labels import nodata_warnings
from geoseg.datasets.statistics import (
    PixelSample,
    Statistics,
    absent_class_warnings,
    check_references,
    collect_statistics,
)
from geoseg.datasets.tiles import Tile, rasters_of, see_tiles
from geoseg.datasets.training_tiles import (
    Bands,
    check_values,
    choose_bands,
    choose_value_range,
    find_pairs,
    ground_sampling_warnings,
    median_ground_sampling,
    open_image,
    open_tiles,
)
from geoseg.errors import ConfigError, OutputError
from geoseg.failures import begun
from geoseg.files import sweep, write_text
from geoseg.foreign import with_allow_remote
from geoseg.given import given_path
from geoseg.locks import lock_folder
from geoseg.places import refuse_folders
from geoseg.progress import Progress
from geoseg.raster import Source, shared_notes
from geoseg.report import Report
from geoseg.training.outcome import (
    CONFIG,
    CONFIG_MARK,
    MODEL,
    PICTURES,
    STATE,
    make_card,
    refuse_foreign_files,
    training_report,
)
from geoseg.training.statefile import read_facts
from geoseg.value_ranges import ValueRange

if TYPE_CHECKING:
    from geoseg.models import Card, Segmenter


@with_allow_remote
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
        resume: continue the run in the run folder; begin where there is none.
        progress: is informed of what happens; by default a bar in notebooks and terminals.

    Returns:
        Metrics of the best model; `data` also names the files of the run folder.

    Raises:
        ConfigError: the config is wrong or does not fit the files; nothing was started.
        SourceError: a raster or its labels cannot be used.
        OutputError: the run folder holds another run or is in use, or it cannot be written.
    """
    chosen = config if isinstance(config, TrainConfig) else load_config(config, overrides)
    name = Path(config).stem if isinstance(config, str | os.PathLike) else "train"
    folder = Path("runs", name) if out is None else Path(given_path("out", out))
    # Of several processes that train together the first one locks the folder for all.
    with lock_folder(folder) if _is_main() else nullcontext():
        return _train(chosen, folder, resume, progress or Progress())


def _train(config: TrainConfig, folder: Path, resume: bool, progress: Progress) -> Report:
    resume = _resumes(folder, config, resume)
    sweep(folder / PICTURES)
    if not resume:
        refuse_foreign_files(folder)
    if config.train.tensorboard:
        from geoseg.training.history import require_tensorboard

        require_tensorboard()
    tiles = _open(config.data)
    config.train.refuse_large_crop(tiles.shapes)
    # What can be refused without torch, which takes seconds to import, is refused by now; what can
    # be without reading pixels comes next: reading takes minutes on large data.
    net = _network(config, tiles.bands, progress, fresh=not resume)
    return _learn(net, tiles, config, folder, resume, progress)


def _learn(
    net: Segmenter, tiles: _Tiles, config: TrainConfig, out: Path, resume: bool, progress: Progress
) -> Report:
    from geoseg.training.loop import fit
    from geoseg.training.losses import choose_class_weights
    from geoseg.training.patches import Patches
    from geoseg.training.sampling import choose_sampler

    train, val, recipe, scheme = tiles.train, tiles.val, config.train, config.data.scheme
    sample = PixelSample(len(scheme), seed=recipe.seed)
    seen = see_tiles(train + val, scheme)
    statistics, drawn = _statistics(tiles, config, sample, progress)
    padding = recipe.padding_warnings(net.multiple, tiles.shapes)  # said before hours are spent
    progress.note("\n".join([_summary(scheme.names, statistics, len(train), len(val)), *padding]))
    began = _began(out) if resume else f"{CONFIG_MARK}\n{dump_config(config)}"
    card = _card(config, _digest(began), net, tiles, statistics)
    class_weights = choose_class_weights(recipe, np.array(statistics.class_pixels))
    sampler = choose_sampler(recipe, train, sample.places)
    if _is_main() and not resume:
        write_text(out / CONFIG, began)
    patches = Patches(train, scheme, recipe, tiles.value_range, sampler)
    options: dict[str, Any] = {"seen": seen, "resume": resume, "progress": progress}
    with begun():
        outcome = fit(net, card, patches, val, recipe, class_weights, out, **options)
    warnings = tiles.warnings + padding + ground_sampling_warnings(train)
    warnings += absent_class_warnings(statistics, scheme.names)
    rasters = (tile.labels for tile in train + val if isinstance(tile.labels, Source))
    warnings += nodata_warnings(rasters, scheme) + shared_notes(rasters_of(train + val))
    return training_report(out, outcome, net, scheme.names, warnings, drawn)


def _is_main() -> bool:
    """Whether this process is the one that writes, of several that train together."""
    return os.environ.get("RANK", "0") == "0"


def _resumes(folder: Path, config: TrainConfig, resume: bool) -> bool:
    """Whether there is a run to continue; refuses to train over another one."""
    refuse_folders([folder / STATE, folder / MODEL])
    has_state = (folder / STATE).exists()
    if not resume and (has_state or (folder / MODEL).exists()):
        raise OutputError(
            f"{folder}: holds a training already; --resume continues it, another --out keeps it"
        )
    if resume and has_state:
        require_same_config(load_config(folder / CONFIG), config, folder)
        if read_facts(folder / STATE).get("config") != _digest(_began(folder)):
            raise ConfigError(
                f"{folder / CONFIG}: was changed after the run began; restore it from a copy, or "
                "start a new run in another --out"
            )
    return resume and has_state


def _began(folder: Path) -> str:
    """The text of the config that a run began with."""
    return (folder / CONFIG).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Tiles:
    """What is trained and validated on, opened and checked."""

    bands: Bands
    value_range: ValueRange
    train: list[Tile]
    val: list[Tile]
    warnings: list[str]

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Height and width of each training tile."""
        return [(tile.image.height, tile.image.width) for tile in self.train]


def _open(data: Data) -> _Tiles:
    train, val = (
        find_pairs((entry.images, entry.labels, entry.attribute, entry.layer) for entry in entries)
        for entries in (data.train, data.val)
    )
    bands = choose_bands(data.bands, open_image(train[0][0]))
    tiles, val_tiles = (open_tiles(pairs, bands, data.nodata) for pairs in (train, val))
    value_range = choose_value_range(data.value_range, tiles, bands.names)
    warnings = check_values(tiles + val_tiles, value_range)
    return _Tiles(bands, value_range, tiles, val_tiles, warnings)


def _network(config: TrainConfig, bands: Bands, progress: Progress, *, fresh: bool) -> Segmenter:
    """What the config describes; weights to begin with are only loaded at the start of a run.

    Raises:
        ConfigError: this machine does not have the device or the precision.
        ModelError: a preset, an option, the encoder or the weights do not fit.
    """
    import torch

    from geoseg.inference.predictor import choose_device, choose_precision
    from geoseg.models import create_model
    from geoseg.training.initial_weights import start_from

    model, recipe, scheme = config.model, config.train, config.data.scheme
    choose_precision(recipe.precision, choose_device(recipe.device))
    torch.manual_seed(recipe.seed)
    net = create_model(
        model.system,
        encoder=model.encoder,
        classes=len(scheme),
        in_channels=len(bands.names),
        output_stride=model.output_stride,
        encoder_weights=model.encoder_weights if fresh else None,
        preset=model.preset,
        **model.options,
    )
    if model.start_from is not None and fresh:
        progress.note(start_from(model.start_from, net, scheme.names, bands.names))
    return net


def _statistics(
    tiles: _Tiles, config: TrainConfig, sample: PixelSample, progress: Progress
) -> tuple[Statistics, list[DrawnFeatures]]:
    """Statistics of all training pixels, and the features of all polygons, which are checked."""
    drawn: list[DrawnFeatures] = []
    scheme, value_range = config.data.scheme, tiles.value_range
    wanted = sample if config.train.sampling == "balanced" else None
    progress.begin("reading the tiles", len(tiles.train) + len(tiles.val))
    try:
        check_references(tiles.val, scheme, progress, value_range, drawn)
        found = collect_statistics(tiles.train, scheme, progress, wanted, value_range, drawn)
        return found, drawn
    finally:
        progress.end()


def _summary(classes: tuple[str, ...], statistics: Statistics, train: int, val: int) -> str:
    shares = ", ".join(
        f"{name} {pixels / statistics.labelled:.2%}"
        for name, pixels in zip(classes, statistics.class_pixels, strict=True)
    )
    return (
        f"{train} training tiles with {statistics.labelled:,} labelled pixels ({shares}); "
        f"{val} validation tiles"
    )


def _card(
    config: TrainConfig, digest: str, net: Segmenter, tiles: _Tiles, statistics: Statistics
) -> Card:
    data, start = config.data, config.model.start_from
    return make_card(
        net.spec,
        data.scheme,
        tiles.bands.names,
        tiles.value_range,
        statistics,
        mean=data.mean,
        std=data.std,
        training={
            "geoseg": geoseg.__version__,
            "start_from": None if start is None else Path(start).name,
            "config_sha256": digest,
            "steps": config.train.steps,
            "tiles": len(tiles.train),
        },
        window=config.predict.window,
        overlap=config.predict.overlap,
        ground_sampling=data.ground_sampling or median_ground_sampling(tiles.train),
        license=config.model.license,
    )
