from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geoseg.classes import ClassScheme
from geoseg.datasets.statistics import PixelSample, collect_statistics
from geoseg.datasets.tiles import Tile
from geoseg.errors import ConfigError, DiskError, GeosegError
from geoseg.metrics import ConfusionMatrix
from geoseg.models import Card, create_model, load_model
from geoseg.progress import Progress
from geoseg.training import history, loop, validation_images
from geoseg.training.history import read_rows
from geoseg.training.loop import fit
from geoseg.training.outcome import Outcome
from geoseg.training.patches import Batch, Patches
from geoseg.training.recipe import Recipe
from geoseg.training.sampling import choose_sampler

MakeTile = Callable[..., Tile]
undrawn = pytest.mark.usefixtures("nothing_drawn")
SCHEME = ClassScheme.from_names(["dark", "bright"])
RECIPE = Recipe(
    steps=8,
    batch=2,
    crop=32,
    learning_rate=0.05,
    validate_every=4,
    log_every=2,
    device="cpu",
    precision="fp32",
)


ENCODED = {"encoder": "tu-test_resnet", "channels": 16}
OPTIONS: dict[str, dict[str, Any]] = {
    "hcnet": {**ENCODED, "prior_channels": 8},
    "fcn": {**ENCODED, "dropout": 0.5},
    "pixel": {},
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in one order, whatever the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class StoppedError(Exception):
    """The run is interrupted."""


class StopAfter(Progress):
    """Interrupts the run after some steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def advance(self, count: int) -> None:
        self.left -= count
        if self.left == 0:
            raise StoppedError


@pytest.fixture
def train(make_tile: MakeTile) -> Callable[..., Outcome]:
    """Trains a small HCNet on one checkered tile and validates it on another."""
    tiles, references = [make_tile("train", seed=1)], [make_tile("val", seed=2)]

    def run(
        folder: Path,
        recipe: Recipe = RECIPE,
        *,
        validation: bool = True,
        system: str = "hcnet",
        mean: float = 120.0,
        **options: Any,
    ) -> Outcome:
        folder.mkdir(exist_ok=True)
        torch.manual_seed(recipe.seed)
        net = create_model(system, classes=2, **OPTIONS[system])
        card = Card(
            spec=net.spec,
            classes=SCHEME,
            bands=("r", "g", "b"),
            value_range=(0.0, 255.0),
            mean=(mean,) * 3,
            std=(60.0,) * 3,
            window=64,
            overlap=16,
        )
        sample = PixelSample(2)
        collect_statistics(tiles, SCHEME, sample=sample)
        sampler = choose_sampler(recipe, tiles, sample.places)
        patches = Patches(tiles, SCHEME, recipe, (0.0, 255.0), sampler)
        weights = np.ones(2, np.float32)
        options = {"progress": Progress()} | options
        return fit(
            net, card, patches, references if validation else [], recipe, weights, folder, **options
        )

    return run


def losses(folder: Path) -> list[str]:
    return [row["loss"] for row in read_rows(folder / "metrics.csv")]


@undrawn
def test_the_loss_falls_and_the_classes_are_learned(
    train: Callable[..., Outcome], tmp_path: Path
) -> None:
    outcome = train(tmp_path, replace(RECIPE, steps=40, validate_every=20))
    rows = read_rows(tmp_path / "metrics.csv")
    assert float(rows[-1]["loss"]) < 0.5 * float(rows[0]["loss"])
    assert outcome.best["mean_iou"] > 0.6
    assert 0 < outcome.compute_share <= 1


def test_the_folder_holds_model_state_metrics_and_curves(
    train: Callable[..., Outcome], tmp_path: Path
) -> None:
    started = time.perf_counter()
    outcome = train(tmp_path)
    assert 0 < outcome.validation < time.perf_counter() - started, "seconds of this training"
    names = {"model.safetensors", "last.safetensors", "metrics.csv", "curves.png"}
    assert [path.name for path in sorted((tmp_path / "pictures").iterdir())] == [
        "step_000004.png",
        "step_000008.png",
    ]
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == names
    card = load_model(tmp_path / "model.safetensors").card
    assert card.training["step"] == outcome.best_step
    assert card.training["validation"]["mean_iou"] == outcome.best["mean_iou"]
    assert [row["step"] for row in read_rows(tmp_path / "metrics.csv")] == ["2", "4", "6", "8"]


@undrawn
def test_the_same_seed_gives_the_same_losses(train: Callable[..., Outcome], tmp_path: Path) -> None:
    train(tmp_path / "one")
    train(tmp_path / "two")
    train(tmp_path / "three", replace(RECIPE, seed=1))
    assert losses(tmp_path / "one") == losses(tmp_path / "two")
    assert losses(tmp_path / "one") != losses(tmp_path / "three")


@undrawn
@pytest.mark.parametrize(
    ("system", "options"),
    [
        ("hcnet", {"optimizer": "sgd"}),
        ("fcn", {"optimizer": "adamw", "clip": 0.1, "loss": {"cross_entropy": 1.0, "lovasz": 0.5}}),
        ("hcnet", {"ema": 0.9, "accumulate": 2, "workers": 1, "sampling": "balanced"}),
    ],
)
def test_a_stopped_run_continues_bit_for_bit(
    train: Callable[..., Outcome], tmp_path: Path, system: str, options: dict[str, Any]
) -> None:
    recipe = replace(RECIPE, learning_rate=0.01, **options)
    train(tmp_path / "whole", recipe, system=system)
    with pytest.raises(StoppedError):
        train(tmp_path / "stopped", recipe, system=system, progress=StopAfter(7))
    assert len(losses(tmp_path / "stopped")) == 3
    train(tmp_path / "stopped", recipe, system=system, resume=True)
    assert losses(tmp_path / "stopped") == losses(tmp_path / "whole")
    whole, stopped = (
        load_model(tmp_path / name / "model.safetensors").net for name in ("whole", "stopped")
    )
    for one, other in zip(whole.state_dict().values(), stopped.state_dict().values(), strict=True):
        assert torch.equal(one, other)


@undrawn
def test_states_are_saved_between_validations_where_asked_for(
    train: Callable[..., Outcome], tmp_path: Path
) -> None:
    recipe = replace(RECIPE, learning_rate=0.01, validate_every=8, save_every=3)
    train(tmp_path / "whole", recipe)
    with pytest.raises(StoppedError):
        train(tmp_path / "stopped", recipe, progress=StopAfter(7))
    train(tmp_path / "stopped", recipe, resume=True, progress=(seen := StopAfter(9)))
    assert seen.left == 1  # 6 steps were done, 2 were left
    assert losses(tmp_path / "stopped") == losses(tmp_path / "whole")


@undrawn
def test_the_moving_average_is_validated_and_saved(
    train: Callable[..., Outcome], tmp_path: Path
) -> None:
    for name, ema in (("plain", None), ("off", 0.0), ("slow", 0.5)):
        train(tmp_path / name, replace(RECIPE, ema=ema), validation=False)
    assert losses(tmp_path / "plain") == losses(tmp_path / "off") == losses(tmp_path / "slow")
    files = {name: (tmp_path / name / "model.safetensors") for name in ("plain", "off", "slow")}
    weights = {name: next(iter(load_model(file).net.parameters())) for name, file in files.items()}
    assert torch.equal(weights["plain"], weights["off"])
    assert not torch.equal(weights["plain"], weights["slow"])


def test_a_run_is_resumed_on_the_same_data_only(
    train: Callable[..., Outcome], tmp_path: Path
) -> None:
    recipe = replace(RECIPE, steps=2, pictures=0)
    train(tmp_path, recipe, system="pixel")
    train(tmp_path, recipe, system="pixel", resume=True, mean=120.00001)
    with pytest.raises(
        ConfigError,
        match=r"data\.train: mean \[120\.01, .*, but the run in .* began with \[120\.0,",
    ):
        train(tmp_path, recipe, system="pixel", resume=True, mean=120.01)


@undrawn
def test_a_finished_run_has_nothing_left_to_do(
    train: Callable[..., Outcome], tmp_path: Path
) -> None:
    outcome = train(tmp_path)
    again = train(tmp_path, resume=True)
    assert (again.step, again.best) == (outcome.step, outcome.best)


@undrawn
def test_the_best_network_is_kept_not_the_last(
    train: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, second_time = loop.validate, iter([False, True])

    def worse_the_second_time(*arguments: Any, **options: Any) -> Any:
        confusion = real(*arguments, **options)
        if next(second_time):
            confusion._counts[:] = [[0, 1, 0], [1, 0, 0]]
        return confusion

    monkeypatch.setattr(loop, "validate", worse_the_second_time)
    assert train(tmp_path).best_step == 4
    assert load_model(tmp_path / "model.safetensors").card.training["step"] == 4


@undrawn
@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("overall_accuracy", (90, 10, 30, 70), (900, 0, 80, 20)),
        ("iou_bright", (100, 0, 60, 40), (9, 91, 0, 100)),
    ],
)
def test_any_metric_may_decide_which_network_is_best(
    train: Callable[..., Outcome],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    first: tuple[int, ...],
    second: tuple[int, ...],
) -> None:
    def confusion_of(*counts: int) -> ConfusionMatrix:
        confusion = ConfusionMatrix(2)
        confusion._counts[:, :2] = np.reshape(counts, (2, 2))
        return confusion

    for best_by, best_step in (("mean_iou", 4), (name, 8)):
        validations = iter([confusion_of(*first), confusion_of(*second)])
        monkeypatch.setattr(loop, "validate", lambda *_, made=validations, **__: next(made))
        assert (
            train(tmp_path / best_by, replace(RECIPE, best_by=best_by, pictures=0)).best_step
            == best_step
        )


@undrawn
def test_a_run_that_gets_no_better_stops_and_stays_stopped(
    train: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "metric_value", lambda *_: 0.5)
    recipe = replace(RECIPE, steps=20, validate_every=2, patience=3, pictures=0)
    outcome = train(tmp_path, recipe)
    assert (outcome.best_step, outcome.step) == (2, 8)
    assert train(tmp_path, recipe, resume=True).step == 8


@undrawn
def test_a_batch_in_parts_trains_like_the_whole(
    train: Callable[..., Outcome], tmp_path: Path
) -> None:
    # pixel: no batch normalisation, and every patch is labelled throughout, so that means of means
    # are means.
    recipe = replace(RECIPE, batch=4, pictures=0)
    for name, parts in (("whole", 1), ("halves", 2), ("quarters", 4)):
        train(tmp_path / name, replace(recipe, accumulate=parts), system="pixel")
    whole, *split = (
        np.array(losses(tmp_path / name), float) for name in ("whole", "halves", "quarters")
    )
    assert len(set(whole)) == 4
    for parts in split:
        np.testing.assert_allclose(parts, whole, atol=2e-5)


def test_without_validation_the_last_network_is_the_model(
    train: Callable[..., Outcome], tmp_path: Path
) -> None:
    outcome = train(tmp_path, validation=False)
    assert (outcome.best_step, outcome.best) == (8, {})
    assert load_model(tmp_path / "model.safetensors").card.training["step"] == 8


def test_a_loss_that_is_not_finite_stops_with_step_and_files(
    train: Callable[..., Outcome], tmp_path: Path
) -> None:
    with pytest.raises(
        GeosegError,
        match=r"step \d+: the loss is (nan|inf); patches came from .*train\.tif row \d+ column "
        r"\d+, 32 x 32 pixels;",
    ):
        train(tmp_path, replace(RECIPE, steps=20, learning_rate=1e30))


def test_patches_are_named_by_row_then_column(make_tile: Callable[..., Tile]) -> None:
    empty = torch.zeros(1)
    batch = Batch(empty, empty, empty, torch.tensor([[0, 5, 7, 32, 16]]))
    line = loop._not_finite(3, float("nan"), batch, [make_tile("a")])
    assert "a.tif row 5 column 7, 32 x 16 pixels" in line


def test_the_progress_line_marks_the_best_validation_alone() -> None:
    confusion = ConfusionMatrix(2)
    confusion.update(np.array([[0, 1]], np.uint8), np.array([[0, 0]], np.uint8))
    outcome = Outcome(step=4, best_step=4)
    line = loop._progress_line(outcome, RECIPE, 0.5, confusion)
    assert line == (
        f"step 4 of {RECIPE.steps}: loss 0.5000, mean IoU 0.2500, overall accuracy 0.5000 (best)"
    )
    outcome.best_step = 2
    assert loop._progress_line(outcome, RECIPE, 0.5, confusion) == line.removesuffix(" (best)")


def test_pictures_are_of_the_first_tiles_in_their_shape(
    make_tile: Callable[..., Tile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation_images, "Panel", lambda *shape: shape)
    tiles = [make_tile(name, height=40, width=60) for name in ("a", "b", "c")]
    panels = validation_images.panels_of(tiles, 2)
    assert panels == [("a.tif", 40, 60), ("b.tif", 40, 60)]


def test_a_full_disk_is_reported_in_one_line(
    train: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(history, "plot_curves", full)
    with pytest.raises(DiskError, match=r"cannot be written \(.*No space left") as caught:
        train(tmp_path)
    _, second = str(caught.value).splitlines()
    assert second == "the run was stopped there, after step 4 of 8; --resume continues"
