"""Faults of one file in evaluate, prepare, vectorize and train: who fails, who goes on."""

from __future__ import annotations

import errno
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest

import geoseg
from geoseg.errors import DiskError, SourceError
from geoseg.failures import exit_code_of
from geoseg.inference.class_raster import ClassRaster
from geoseg.training.patches import Patches
from tests.fixtures.faults import stages_and_faults

CLASSES = [{"id": 0, "name": "dark"}, {"id": 1, "name": "bright"}]
NAMES = ("a", "spoilt", "z")
ERRORS = [TypeError("not\nunderstood"), OSError(errno.EMFILE, "files"), MemoryError()]


def break_where(monkeypatch: pytest.MonkeyPatch, place: tuple[str, str], error: Exception) -> None:
    """Let a function raise where its arguments speak of the spoilt file."""
    module = importlib.import_module(place[0])
    healthy = getattr(module, place[1])

    def broken(*arguments: Any, **options: Any) -> Any:
        if "/spoilt" in repr((arguments, options)):
            raise error
        return healthy(*arguments, **options)

    monkeypatch.setattr(module, place[1], broken)


@pytest.fixture
def folder(make_raster: Callable[..., Path], tmp_path: Path) -> Path:
    for seed, name in enumerate(NAMES):
        labels = np.random.default_rng(seed).integers(0, 2, (1, 64, 80)).astype(np.uint8)
        make_raster(f"in/images/{name}.tif", seed=seed)
        make_raster(f"in/labels/{name}.tif", data=labels)
        make_raster(f"in/predicted/{name}.tif", data=labels)
    return tmp_path / "in"


def the_line_about(report: Any) -> str:
    assert report.exit_code == 1
    (line,) = report.data["failures"]
    assert "spoilt" in line
    assert "\n" not in line
    return str(line)


@pytest.mark.parametrize(
    ("place", "error"),
    stages_and_faults(
        [("geoseg.evaluation.pairs", "open_pair"), ("geoseg.evaluation.scoring", "score_pair")],
        ERRORS,
    ),
)
def test_evaluate_scores_the_other_pairs(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: tuple[str, str],
    error: Exception,
) -> None:
    break_where(monkeypatch, place, error)
    report = geoseg.evaluate(folder / "predicted", folder / "labels", CLASSES, tmp_path / "out")
    the_line_about(report)
    assert np.sum(report.data["confusion_matrix"]) == 2 * 64 * 80


@pytest.mark.parametrize(
    ("place", "error"),
    stages_and_faults(
        [
            ("geoseg.datasets.preparation", "open_raster"),
            ("geoseg.raster.fingerprint", "_fingerprint"),
            ("geoseg.datasets.preparation", "prepare_tile"),
        ],
        ERRORS,
    ),
)
def test_prepare_prepares_the_other_images(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: tuple[str, str],
    error: Exception,
) -> None:
    options: dict[str, Any] = {"classes": CLASSES, "split": "all"}
    with monkeypatch.context() as patch:
        break_where(patch, place, error)
        the_line_about(geoseg.prepare("folder", folder, tmp_path / "out", **options))
    made = sorted(path.stem for path in (tmp_path / "out").rglob("images/*.tif"))
    assert made == ["a", "z"]
    again = geoseg.prepare("folder", folder, tmp_path / "out", **options)
    assert (again.exit_code, again.data["made"], again.data["kept"]) == (0, 1, 2)


@pytest.mark.parametrize(
    ("place", "error"),
    stages_and_faults(
        [
            ("geoseg.datasets.preparation", "open_raster"),
            ("geoseg.raster.fingerprint", "_fingerprint"),
        ],
        ERRORS,
    ),
)
def test_what_was_prepared_stays_while_its_image_cannot_be_read(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: tuple[str, str],
    error: Exception,
) -> None:
    options: dict[str, Any] = {"classes": CLASSES, "split": "all"}
    geoseg.prepare("folder", folder, tmp_path / "out", **options)
    with monkeypatch.context() as patch:
        break_where(patch, place, error)
        report = geoseg.prepare("folder", folder, tmp_path / "out", **options)
    the_line_about(report)
    assert report.data["kept"] == 2
    again = geoseg.prepare("folder", folder, tmp_path / "out", **options)
    assert (again.exit_code, again.data["made"], again.data["kept"]) == (0, 0, 3)


def test_a_full_disk_stops_prepare_once_and_names_what_is_left(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"classes": CLASSES, "split": "all"}
    with monkeypatch.context() as patch:
        break_where(patch, ("geoseg.datasets.preparation", "prepare_tile"), DiskError("is full"))
        (folder / "labels/a.tif").write_bytes(b"II*\0")
        with pytest.raises(DiskError) as caught:
            geoseg.prepare("folder", folder, tmp_path / "out", **options)
    assert exit_code_of(caught.value) == 1
    first, second, third = str(caught.value).splitlines()
    assert first.startswith(f"{folder}/labels/a.tif: ")
    assert second == "is full"
    assert third == (
        f"the run was stopped there; not done: {folder}/images/z.tif; the same command continues"
    )
    again = geoseg.prepare("folder", folder, tmp_path / "out", **options)
    assert again.data["made"] == 2


def test_a_full_disk_stops_vectorize_once_and_names_what_is_left(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rasters = sorted((folder / "labels").glob("*.tif"))
    healthy = ClassRaster.layer

    def broken(job: Any, name: str) -> Any:
        if name == "spoilt":
            raise DiskError("is full")
        return healthy(job, name)

    with monkeypatch.context() as patch:
        patch.setattr(ClassRaster, "layer", broken)
        with pytest.raises(DiskError) as caught:
            geoseg.vectorize(rasters, tmp_path / "out.gpkg")
    assert exit_code_of(caught.value) == 1
    assert str(caught.value).splitlines() == [
        "is full",
        f"the run was stopped there; not done: {rasters[2]}; the same command continues",
    ]
    assert geoseg.vectorize(rasters, tmp_path / "out.gpkg").exit_code == 0


def test_a_full_disk_at_the_end_of_evaluate_names_what_had_failed_before(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "labels/a.tif").write_bytes(b"II*\0")

    def full(*_: Any) -> None:
        raise DiskError("is full")

    monkeypatch.setattr("geoseg.commands.evaluate.write_outputs", full)
    with pytest.raises(DiskError) as caught:
        geoseg.evaluate(folder / "predicted", folder / "labels", CLASSES, tmp_path / "out")
    assert exit_code_of(caught.value) == 1
    first, second = str(caught.value).splitlines()
    assert "labels/a.tif" in first
    assert second == "is full"


@pytest.mark.parametrize("error", ERRORS)
def test_vectorize_vectorizes_the_other_rasters(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    break_where(monkeypatch, ("geoseg.commands.vectorize", "open_bytes"), error)
    rasters = sorted((folder / "labels").glob("*.tif"))
    report = geoseg.vectorize(rasters, tmp_path / "out.gpkg")
    the_line_about(report)
    assert [layer["layer"] for layer in report.data["layers"]] == ["a", "z"]


def test_a_layer_that_was_left_out_is_made_when_its_raster_is_whole_again(
    folder: Path, tmp_path: Path, make_raster: Callable[..., Path]
) -> None:
    noise = np.random.default_rng(0).integers(0, 4, (1, 64, 80)).astype(np.uint8)
    make_raster("in/labels/spoilt.tif", data=noise, compress="deflate")
    out, rasters = tmp_path / "out.gpkg", sorted((folder / "labels").glob("*.tif"))
    whole = rasters[1].read_bytes()
    for damaged in (b"", b"II*\0", whole[:600] + b"\xff" * 400 + whole[1000:]):
        rasters[1].write_bytes(damaged)
        for _ in range(2):  # the same again needs no --overwrite
            assert the_line_about(geoseg.vectorize(rasters, out))
            assert [name for name, kind in pyogrio.list_layers(out) if kind] == ["a", "z"]
        rasters[1].write_bytes(whole)
        report = geoseg.vectorize(rasters, out)
        assert (report.exit_code, report.data["kept"]) == (0, False)
        assert sorted(name for name, kind in pyogrio.list_layers(out) if kind) == [
            "a",
            "spoilt",
            "z",
        ]
        assert geoseg.vectorize(rasters, out).data["kept"]
        out.unlink()
    geoseg.vectorize(rasters[::2], out)
    with pytest.raises(geoseg.GeosegError, match="was made from something else"):
        geoseg.vectorize(rasters, out)


@pytest.mark.parametrize("command", ["evaluate", "prepare", "train"])
def test_a_folder_that_cannot_be_searched_is_never_passed_over(
    folder: Path, tmp_path: Path, config: dict[str, Any], command: str
) -> None:
    labels = tmp_path / "labels" if command == "train" else folder / "labels"
    (labels / "more").symlink_to("/nowhere/at/all")
    if command == "train":
        config["data"]["train"] = {"images": f"{tmp_path}/images", "labels": f"{labels}"}
        with pytest.raises(geoseg.GeosegError, match="labels/more: this link cannot be followed"):
            geoseg.train(config, out=tmp_path / "out")
        return
    if command == "evaluate":
        report = geoseg.evaluate(folder / "predicted", labels, CLASSES, tmp_path / "out")
    else:
        report = geoseg.prepare("folder", folder, tmp_path / "out", classes=CLASSES, split="all")
    assert report.exit_code == 1
    assert "labels/more: this link cannot be followed" in report.data["failures"][0]


@pytest.mark.usefixtures("nothing_drawn")
@pytest.mark.parametrize("error", ERRORS)
def test_train_ends_where_data_cannot_be_read_and_continues_from_there(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    read = Patches.__getitem__

    def broken(self: Patches, index: int) -> Any:
        if index >= 8:  # the fifth step of batches of two
            raise error
        return read(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(Patches, "__getitem__", broken)
        with pytest.raises(SourceError, match="the state is saved, --resume continues") as caught:
            geoseg.train(config, out=tmp_path / "out")
    assert type(error).__name__ in str(caught.value)
    assert "\n" not in str(caught.value)
    assert exit_code_of(caught.value) == 1
    geoseg.train(config, out=tmp_path / "out", resume=True)
    geoseg.train(config, out=tmp_path / "whole")
    rows = [
        [line.split(",")[0] for line in (tmp_path / out / "metrics.csv").read_text().splitlines()]
        for out in ("out", "whole")
    ]
    assert rows[0] == rows[1]
    nets = [geoseg.load_model(tmp_path / out / "model.safetensors").net for out in ("out", "whole")]
    for ours, theirs in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert np.array_equal(ours.detach().numpy(), theirs.detach().numpy())
