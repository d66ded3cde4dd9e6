"""The training loop, to be read from top to bottom."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.datasets.tiles import Tile
from geoseg.errors import ConfigError, GeosegError, OutputError
from geoseg.inference.normalize import Normalization
from geoseg.metrics import ConfusionMatrix
from geoseg.models import Card, Model, Segmenter, write_model
from geoseg.progress import Progress
from geoseg.training.diary import Diary
from geoseg.training.patches import Batch, Patches, batches
from geoseg.training.pictures import Panel
from geoseg.training.recipe import Recipe
from geoseg.training.trainer import Trainer
from geoseg.training.validate import figure, figures, validate

MODEL = "model.safetensors"
STATE = "last.safetensors"
"""What ``--resume`` continues from, in the run folder."""


@dataclass
class Outcome:
    """What came of a training so far."""

    step: int = 0
    """Steps done."""
    best_step: int = 0
    """The step whose network stands in the model file."""
    best: dict[str, Any] = field(default_factory=dict)
    """Its validation figures; empty without validation tiles."""
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


def fit(
    net: Segmenter,
    card: Card,
    patches: Patches,
    tiles: Sequence[Tile],
    recipe: Recipe,
    class_weights: NDArray[np.float32],
    folder: Path,
    *,
    resume: bool = False,
    progress: Progress,
) -> Outcome:
    """Train a network; the best one (without validation tiles the last) becomes ``model.safetensors``.

    Args:
        net: freshly made, or with weights to start from.
        card: what the model file will say; its `training` is completed with the figures.
        patches: what is learnt.
        tiles: whole tiles that the network is judged on.
        recipe: numbers of the training.
        class_weights: ``(classes,)`` of the cross-entropy.
        folder: gets ``model.safetensors``, ``last.safetensors``, ``metrics.csv``, ``curves.png`` and ``pictures``.
        resume: go on from ``last.safetensors``.
        progress: told of each step and each validation.

    Raises:
        ConfigError: the training rasters are not those that the resumed run began with.
        GeosegError: the loss is no longer a number, a raster cannot be read, or the folder cannot be written.
    """
    trainer = Trainer(net, recipe, Normalization.of(card), class_weights)
    learnt = _learnt(card)
    outcome = _gone_on(trainer, folder, learnt) if resume else Outcome()
    diary = Diary(folder, card.classes, recipe, outcome.step) if trainer.chief else None
    progress = progress if trainer.chief else Progress()
    progress.begin("training", recipe.steps)
    progress.advance(outcome.step)
    try:
        for rate, loss in _steps(trainer, patches, outcome, progress):
            due = _due(outcome.step, recipe.validate_every, recipe.steps)
            panels = _panels(tiles[:: trainer.share[1]], recipe) if due and diary else []
            confusion = (
                _judge(trainer, card, tiles, outcome, folder, panels) if due and tiles else None
            )
            if diary:
                diary.add(outcome.step, outcome.compute + outcome.wait, rate, loss, confusion)
            if due:
                progress.note(_line(outcome, recipe, loss, confusion))
            if due or _due(outcome.step, recipe.save_every, recipe.steps):
                trainer.save(folder / STATE, dataclasses.asdict(outcome) | {"learnt": learnt})
            if due and diary:
                diary.draw(outcome.step, panels)
    except GeosegError:
        raise
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error}); --resume continues once there is room"
        ) from error
    finally:
        progress.end()
    if not tiles:
        outcome.best_step = outcome.step
        _save(trainer, card, outcome, folder)
    return outcome


def _learnt(card: Card) -> dict[str, Any]:
    """What the network learns from, in figures that a resumed run must find again; ready for JSON."""
    return {
        "tiles": card.training.get("tiles"),
        "labelled pixels": card.training.get("class_pixels"),
        "range of values": list(card.value_range),
        "mean": list(card.mean),
        "deviation": list(card.std),
    }


def _gone_on(trainer: Trainer, folder: Path, learnt: Mapping[str, Any]) -> Outcome:
    """Back to where the state was saved, on the same data.

    Raises:
        ConfigError: the training rasters are not those that the run began with.
        OutputError: the file is no state of this training.
    """
    facts = trainer.load(folder / STATE)
    for name, then in facts.pop("learnt").items():
        now = learnt[name]
        # Means of one data set may differ in the last digit from machine to machine.
        same = np.allclose(now, then, rtol=1e-6) if name in ("mean", "deviation") else now == then
        if not same:
            raise ConfigError(
                f"data.train: {name} {now}, but the run in {folder} began with {then}; give the same rasters, "
                "or start anew in another --out"
            )
    return Outcome(**facts)


def _steps(
    trainer: Trainer, patches: Patches, outcome: Outcome, progress: Progress
) -> Iterator[tuple[float, float]]:
    """Run all steps that are left, giving back learning rate and mean loss whenever something is to be noted."""
    recipe = trainer.recipe
    losses: list[float] = []
    noted = (recipe.log_every, recipe.validate_every, recipe.save_every)
    waiting = time.perf_counter()
    for batch in batches(patches, recipe, outcome.step, trainer.share):
        if _given_up(outcome, recipe):
            progress.note(
                f"no better {recipe.best_by} in {recipe.patience} validations; stopped early"
            )
            return
        started = time.perf_counter()
        loss, rate = trainer.step(outcome.step, batch)
        outcome.wait += started - waiting
        outcome.compute += time.perf_counter() - started
        if not math.isfinite(loss):
            raise GeosegError(_no_number(outcome.step, loss, batch, patches.tiles))
        outcome.step += 1
        losses.append(loss)
        progress.advance(1)
        if any(_due(outcome.step, every, recipe.steps) for every in noted):
            yield rate, sum(losses) / len(losses)
            losses.clear()
        waiting = time.perf_counter()


def _due(step: int, every: int | None, steps: int) -> bool:
    return step == steps or (every is not None and step % every == 0)


def _given_up(outcome: Outcome, recipe: Recipe) -> bool:
    """Whether the validations since the best one are as many as patience lasts."""
    if recipe.patience is None or not outcome.best:
        return False
    return (outcome.step - outcome.best_step) // recipe.validate_every >= recipe.patience


def _panels(tiles: Sequence[Tile], recipe: Recipe) -> list[Panel]:
    images = [tile.image for tile in tiles[: recipe.pictures]]
    return [Panel(image.path.name, image.height, image.width) for image in images]


def _judge(
    trainer: Trainer,
    card: Card,
    tiles: Sequence[Tile],
    outcome: Outcome,
    folder: Path,
    panels: Sequence[Panel],
) -> ConfusionMatrix:
    """Validate, each process its share of the tiles, and save the model where it is the best so far."""
    started = time.perf_counter()
    rank, processes = trainer.share
    model = Model(trainer.judged, card, digest="", path=None)
    own = validate(
        model,
        tiles[rank::processes],
        device=str(trainer.device),
        precision=trainer.precision,
        panels=panels,
    )
    confusion = trainer.total(own)
    outcome.validation += time.perf_counter() - started
    found = figures(confusion, card.classes.names)
    now, best = (
        figure(each, trainer.recipe.best_by) if each else None for each in (found, outcome.best)
    )
    if not outcome.best or best is None or (now is not None and now > best):
        outcome.best_step, outcome.best = outcome.step, found
        _save(trainer, card, outcome, folder)
    return confusion


def _save(trainer: Trainer, card: Card, outcome: Outcome, folder: Path) -> None:
    if not trainer.chief:
        return
    training = {**card.training, "step": outcome.best_step, "validation": outcome.best}
    write_model(trainer.judged, dataclasses.replace(card, training=training), folder / MODEL)


def _line(outcome: Outcome, recipe: Recipe, loss: float, confusion: ConfusionMatrix | None) -> str:
    """What a person wants to know now and then."""
    line = f"step {outcome.step} of {recipe.steps}: loss {loss:.4f}"
    if confusion is None:
        return line
    line += (
        f", mean IoU {confusion.mean_iou:.4f}, overall accuracy {confusion.overall_accuracy:.4f}"
    )
    return line + (" (best)" if outcome.best_step == outcome.step else "")


def _no_number(step: int, loss: float, batch: Batch, tiles: Sequence[Tile]) -> str:
    places = "; ".join(
        f"{tiles[tile].image.path} row {row} column {col}, {height} x {width} pixels"
        for tile, row, col, height, width in batch.places.tolist()
    )
    return (
        f"step {step + 1}: the loss is {loss}; patches came from {places}; "
        "lower train.learning_rate, use precision fp32, or look for strange values in these files"
    )
