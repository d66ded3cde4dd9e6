"""The training loop, to be read from top to bottom."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.datasets.tiles import Seen, Tile
from geoseg.errors import ConfigError, GeosegError, RunError, SourceError
from geoseg.failures import per_input
from geoseg.inference.normalize import Normalization
from geoseg.metrics import ConfusionMatrix
from geoseg.models import Card, Model, Segmenter, write_model
from geoseg.progress import Progress
from geoseg.training.history import History
from geoseg.training.outcome import MODEL, PICTURES, STATE, Outcome
from geoseg.training.patches import Batch, Patches, batches
from geoseg.training.recipe import Recipe
from geoseg.training.summary import metric_value, summarize
from geoseg.training.trainer import Trainer
from geoseg.training.validation import validate
from geoseg.training.validation_images import Panel, draw_page, panels_of
from geoseg.unwritable import naming_file
from geoseg.value_ranges import as_lists


class UnreadableBatchError(SourceError):
    """A batch cannot be made from the files; the network is as it was after the step before."""


def fit(
    net: Segmenter,
    card: Card,
    patches: Patches,
    tiles: Sequence[Tile],
    recipe: Recipe,
    class_weights: NDArray[np.float32],
    folder: Path,
    *,
    seen: Sequence[Seen] = (),
    resume: bool = False,
    progress: Progress,
) -> Outcome:
    """Train a network; the best one (without validation the last) becomes ``model.safetensors``.

    Args:
        net: freshly made, or with weights to start from.
        card: of the model file; its `training` is completed with the metrics.
        patches: what to train on.
        tiles: whole tiles to validate on.
        recipe: numbers of the training.
        class_weights: ``(classes,)`` of the cross-entropy.
        folder: gets ``model.safetensors``, ``last.safetensors``, ``metrics.csv``, ``curves.png``
            and ``pictures``.
        seen: the files as they were when the run began; looked at whenever a state is saved.
        resume: continue from ``last.safetensors``.
        progress: is informed of each step and each validation.

    Raises:
        ConfigError: the training rasters are not those that the resumed run began with.
        GeosegError: the loss is no longer finite, a raster cannot be read or was replaced, or the
            folder cannot be written.
    """
    trainer = Trainer(net, recipe, Normalization.from_card(card), class_weights)
    outcome = _resume(trainer, folder, card) if resume else Outcome()
    history = _make_history(trainer, card, folder, outcome) if trainer.is_main else None
    progress = progress if trainer.is_main else Progress()
    progress.begin("training", recipe.steps)
    progress.advance(outcome.step)
    try:
        with _saying_the_step(outcome, recipe), naming_file(folder):
            for rate, loss in _steps(trainer, patches, outcome, progress):
                due = _is_due(outcome.step, recipe.validate_every, recipe.steps)
                saved = due or _is_due(outcome.step, recipe.save_every, recipe.steps)
                if saved:
                    trainer.refuse_changed(seen)
                panels = (
                    panels_of(tiles[:: trainer.processes], recipe.pictures)
                    if due and history
                    else []
                )
                confusion = None
                if due and tiles:
                    confusion = _validate(trainer, card, tiles, outcome, folder, panels)
                if history:
                    history.add(outcome.step, outcome.compute + outcome.wait, rate, loss, confusion)
                if due:
                    progress.note(_progress_line(outcome, recipe, loss, confusion))
                if due and history:
                    _draw(history, panels, card, folder, outcome.step)
                if saved:
                    _save_state(trainer, folder, outcome, card)
    except UnreadableBatchError as error:
        _save_state(trainer, folder, outcome, card)
        raise SourceError(f"{error}; the state is saved, --resume continues") from error
    finally:
        progress.end()
    if not tiles:
        outcome.best_step = outcome.step
        _save_model(trainer, card, outcome, folder)
    return outcome


@contextmanager
def _saying_the_step(outcome: Outcome, recipe: Recipe) -> Iterator[None]:
    """Let a fault of the run itself say how far it has come."""
    try:
        yield
    except RunError as error:
        stopped = f"the run was stopped there, after step {outcome.step} of {recipe.steps}"
        raise type(error)(f"{error}\n{stopped}; --resume continues") from error


def _draw(history: History, panels: list[Panel], card: Card, folder: Path, step: int) -> None:
    history.plot()
    draw_page(panels, card.classes, folder / PICTURES / f"step_{step:06}.png")


def _save_state(trainer: Trainer, folder: Path, outcome: Outcome, card: Card) -> None:
    """After a step's other files: a resumed run makes all files of later steps again."""
    began = {"config": card.training.get("config_sha256"), "data": _data_facts(card)}
    trainer.save(folder / STATE, dataclasses.asdict(outcome) | began)


def _make_history(trainer: Trainer, card: Card, folder: Path, outcome: Outcome) -> History:
    """The metrics file of this run, from the step on where it begins."""
    shown = trainer.recipe.tensorboard
    return History(folder, card.classes.names, first_step=outcome.step, tensorboard=shown)


def _data_facts(card: Card) -> dict[str, Any]:
    """What the training rasters hold, in numbers that a resumed run must find again."""
    return {
        "tiles": card.training.get("tiles"),
        "labelled pixels": card.training.get("class_pixels"),
        "range of values": as_lists(card.value_range),
        "mean": list(card.mean),
        "deviation": list(card.std),
    }


def _resume(trainer: Trainer, folder: Path, card: Card) -> Outcome:
    """Back to where the state was saved, on the same data.

    Raises:
        ConfigError: the training rasters are not those that the run began with.
        OutputError: the file is not a state of this training.
    """
    facts, data_facts = trainer.load(folder / STATE), _data_facts(card)
    facts.pop("config")  # compared before anything was read
    for name, then in facts.pop("data").items():
        now = data_facts[name]
        # Means of one data set may differ in the last digit from machine to machine.
        same = np.allclose(now, then, rtol=1e-6) if name in ("mean", "deviation") else now == then
        if not same:
            raise ConfigError(
                f"data.train: {name} {now}, but the run in {folder} began with {then}; "
                "give the same rasters, or start a new run in another --out"
            )
    return Outcome(**facts)


def _steps(
    trainer: Trainer, patches: Patches, outcome: Outcome, progress: Progress
) -> Iterator[tuple[float, float]]:
    """Run all remaining steps; yields learning rate and mean loss when they are due."""
    recipe = trainer.recipe
    losses: list[float] = []
    intervals = (recipe.log_every, recipe.validate_every, recipe.save_every)
    made = batches(patches, recipe, outcome.step, rank=trainer.rank, processes=trainer.processes)
    waiting_since = time.perf_counter()
    for batch in _readable(made, trainer):
        if _out_of_patience(outcome, recipe):
            progress.note(
                f"no better {recipe.best_by} in {recipe.patience} validations; stopped early"
            )
            return
        started = time.perf_counter()
        loss, rate = trainer.step(outcome.step, batch)
        outcome.wait += started - waiting_since
        outcome.compute += time.perf_counter() - started
        if not math.isfinite(loss):
            raise GeosegError(_not_finite(outcome.step, loss, batch, patches.tiles))
        outcome.step += 1
        losses.append(loss)
        progress.advance(1)
        if any(_is_due(outcome.step, every, recipe.steps) for every in intervals):
            yield rate, sum(losses) / len(losses)
            losses.clear()
        waiting_since = time.perf_counter()


def _readable(made: Iterator[Batch], trainer: Trainer) -> Iterator[Batch]:
    """The batches; whatever reading one of them raises in any process is an error of the data.

    Raises:
        UnreadableBatchError: in all processes; no network has seen anything of this step.
    """
    while True:
        batch, problems = None, list[str]()
        with per_input("the training data", problems.append):
            batch = next(made, None)
        if problem := trainer.first_problem(problems):
            raise UnreadableBatchError(problem)
        if batch is None:
            return
        yield batch


def _is_due(step: int, every: int | None, steps: int) -> bool:
    return step == steps or (every is not None and step % every == 0)


def _out_of_patience(outcome: Outcome, recipe: Recipe) -> bool:
    """Whether the validations since the best one are as many as the recipe's `patience`."""
    if recipe.patience is None or not outcome.best:
        return False
    return (outcome.step - outcome.best_step) // recipe.validate_every >= recipe.patience


def _validate(
    trainer: Trainer,
    card: Card,
    tiles: Sequence[Tile],
    outcome: Outcome,
    folder: Path,
    panels: Sequence[Panel],
) -> ConfusionMatrix:
    """Validate, each process its share of the tiles; save the model if it is the best so far.

    Raises:
        SourceError: in all processes; one of them cannot validate a tile.
    """
    started = time.perf_counter()
    problems: list[str] = []
    with per_input("the validation data", problems.append):
        own = validate(
            Model(trainer.evaluated_net, card, digest="", path=None),
            tiles[trainer.rank :: trainer.processes],
            device=str(trainer.device),
            precision=trainer.precision,
            panels=panels,
        )
    if problem := trainer.first_problem(problems):
        raise SourceError(f"{problem}; --resume continues from the last saved state")
    confusion = trainer.sum_over_processes(own)
    outcome.validation += time.perf_counter() - started
    metrics = summarize(confusion, card.classes.names)
    if _is_better(metrics, outcome.best, trainer.recipe.best_by):
        outcome.best_step, outcome.best = outcome.step, metrics
        _save_model(trainer, card, outcome, folder)
    return confusion


def _is_better(metrics: Mapping[str, Any], best: Mapping[str, Any], name: str) -> bool:
    """Whether one metric is above that of the best validation so far; undefined is below all."""
    if not best or (highest := metric_value(best, name)) is None:
        return True
    value = metric_value(metrics, name)
    return value is not None and value > highest


def _save_model(trainer: Trainer, card: Card, outcome: Outcome, folder: Path) -> None:
    if trainer.is_main:
        training = {**card.training, "step": outcome.best_step, "validation": outcome.best}
        complete = card.model_copy(update={"training": training})
        write_model(trainer.evaluated_net, complete, folder / MODEL)


def _progress_line(
    outcome: Outcome, recipe: Recipe, loss: float, confusion: ConfusionMatrix | None
) -> str:
    line = f"step {outcome.step} of {recipe.steps}: loss {loss:.4f}"
    if confusion is not None:
        line += f", mean IoU {confusion.mean_iou:.4f}"
        line += f", overall accuracy {confusion.overall_accuracy:.4f}"
        line += " (best)" if outcome.best_step == outcome.step else ""
    return line


def _not_finite(step: int, loss: float, batch: Batch, tiles: Sequence[Tile]) -> str:
    places = "; ".join(
        f"{tiles[tile].image.path} row {row} column {col}, {height} x {width} pixels"
        for tile, row, col, height, width in batch.places.tolist()
    )
    return (
        f"step {step + 1}: the loss is {loss}; patches came from {places}; "
        "lower train.learning_rate, use precision fp32, or look for wrong values in these files"
    )
