from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import psutil
import pytest
import rasterio
import shapely
import yaml

import geoseg
from geoseg.commands.train import run
from geoseg.config import dump_config, load_config
from geoseg.errors import ConfigError, GeosegError, OutputError, SourceError, VectorError
from geoseg.failures import exit_code_of
from geoseg.models import load_model
from geoseg.progress import Progress
from geoseg.training import history
from geoseg.training.outcome import CONFIG_MARK
from tests.odd_rasters import declare_scale

undrawn = pytest.mark.usefixtures("nothing_drawn")


class Notes(Progress):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


def test_training_gives_a_model_file_and_its_metrics(
    config: dict[str, Any], tmp_path: Path
) -> None:
    notes = Notes()
    report = run(config, out=tmp_path / "run", progress=notes)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "config.yaml", "curves.png", "last.safetensors", "metrics.csv", "model.safetensors",
        "pictures",
    }  # fmt: skip
    assert report.exit_code == 0
    assert report.data["steps"] == 6
    assert report.data["parameters"] == {"encoder": 0, "all": 6}
    assert f"mean IoU {report.data['validation']['mean_iou']:.4f}" in report.text
    assert "in forward and backward" in report.text
    assert notes.lines[0].startswith("2 training tiles with 10,240 labelled pixels (dark ")
    assert notes.lines[1].startswith("step 3 of 6: loss ")


@undrawn
def test_the_card_says_what_the_config_and_the_rasters_say(
    config: dict[str, Any], tmp_path: Path
) -> None:
    run(config, out=tmp_path / "run")
    card = load_model(tmp_path / "run" / "model.safetensors").card
    assert (card.bands, card.value_range, card.window, card.overlap) == (
        ("nir", "red"),
        (0.0, 255.0),
        32,
        8,
    )
    assert card.classes.names == ("dark", "bright")
    assert card.license == "CC0-1.0"
    assert card.ground_sampling == pytest.approx(0.5)
    assert 60 < card.mean[0] < 210
    assert card.training["geoseg"] == geoseg.__version__
    assert sum(card.training["class_pixels"].values()) == 10_240
    assert set(card.training["validation"]["iou"]) == {"dark", "bright"}


@undrawn
def test_the_resolved_config_trains_again(config: dict[str, Any], tmp_path: Path) -> None:
    first = run(config, out=tmp_path / "run")
    again = run(tmp_path / "run" / "config.yaml", out=tmp_path / "again")
    assert again.data["validation"] == first.data["validation"]


@undrawn
def test_mean_and_deviation_that_are_given_are_kept(config: dict[str, Any], tmp_path: Path) -> None:
    overrides = [
        "data.mean=[1, 2]",
        "data.std=[3, 4]",
        "data.ground_sampling=0.1",
        "data.value_range=[0, 300]",
    ]
    run(config, out=tmp_path / "run", overrides=overrides)
    card = load_model(tmp_path / "run" / "model.safetensors").card
    assert (card.mean, card.std, card.ground_sampling, card.value_range) == (
        (1, 2),
        (3, 4),
        0.1,
        (0, 300),
    )


@undrawn
def test_a_file_names_its_run_folder(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config))
    report = run("tiny.yaml", overrides=["train.steps=3"])
    assert report.data["model"] == str(Path("runs/tiny/model.safetensors"))
    assert load_config(Path("runs/tiny/config.yaml")).train.steps == 3


@undrawn
def test_another_run_is_not_trained_over(config: dict[str, Any], tmp_path: Path) -> None:
    run(config, out=tmp_path / "run")
    with pytest.raises(
        OutputError, match="holds a training already; --resume continues it, another --out keeps it"
    ):
        run(config, out=tmp_path / "run")


@pytest.mark.parametrize("name", ["config.yaml", "metrics.csv", "curves.png", "pictures"])
def test_files_that_are_not_a_trainings_are_not_replaced(
    config: dict[str, Any], tmp_path: Path, name: str
) -> None:
    """Such as the config itself, which people keep in the run folder."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).write_text(yaml.safe_dump(config))
    with pytest.raises(OutputError, match=f"{name} exists and was not written by geoseg train"):
        run(config, out=tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [name]


@undrawn
def test_a_run_that_was_killed_before_its_first_state_may_begin_again(
    config: dict[str, Any], tmp_path: Path
) -> None:
    run(config, out=tmp_path / "run")
    for name in ("model.safetensors", "last.safetensors"):
        (tmp_path / "run" / name).unlink()
    assert run(config, out=tmp_path / "run").data["steps"] == 6


@undrawn
def test_two_trainings_in_one_folder_are_kept_apart(config: dict[str, Any], tmp_path: Path) -> None:
    class Second(Progress):
        tried = False

        def begin(self, what: str, total: int) -> None:
            if not self.tried:
                self.tried = True
                with pytest.raises(
                    OutputError, match=r"another run writes into .*run; wait until it ends or"
                ):
                    run(config, out=tmp_path / "run", resume=True)

    listener = Second()
    run(config, out=tmp_path / "run", progress=listener)
    assert listener.tried
    assert not (tmp_path / "run" / ".geoseg").exists()


def test_a_training_that_cannot_begin_leaves_no_folder(
    config: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError):
        run(config, out=tmp_path / "runs" / "run", overrides=["train.device=cuda:99"])
    assert not (tmp_path / "runs").exists()


@undrawn
def test_a_run_is_resumed_under_its_own_config_only(config: dict[str, Any], tmp_path: Path) -> None:
    first = run(config, out=tmp_path / "run", resume=True)
    again = run(config, out=tmp_path / "run", resume=True, overrides=["train.workers=1"])
    assert again.data["validation"] == first.data["validation"]
    with pytest.raises(
        ConfigError,
        match=r"train\.learning_rate: 0\.25, but the run in .* began with 0\.5; set it back",
    ):
        run(config, out=tmp_path / "run", resume=True, overrides=["train.learning_rate=0.25"])
    with pytest.raises(
        ConfigError, match=r"data\.value_range: \[0\.0, 300\.0\], but the run in .* began with None"
    ):
        run(config, out=tmp_path / "run", resume=True, overrides=["data.value_range=[0, 300]"])


@undrawn
@pytest.mark.parametrize(
    "change",
    [
        "train.optimizer=adamw",
        "train.learning_rate=0.25",
        "train.seed=3",
        "data.value_range=[0,255]",
    ],
)
def test_a_config_that_was_edited_in_the_run_folder_too_is_noticed(
    config: dict[str, Any], tmp_path: Path, change: str
) -> None:
    run(config, out=tmp_path / "run")
    path = tmp_path / "run/config.yaml"
    edited = load_config(path, [change])
    path.write_text(path.read_text().splitlines()[0] + "\n" + dump_config(edited))
    message = f"{path}: was changed after the run began; restore it from a copy, or start a new run"
    with pytest.raises(ConfigError, match=message):
        run(path, out=tmp_path / "run", resume=True)


@undrawn
def test_data_of_a_resumed_run_may_have_moved_but_not_changed(
    config: dict[str, Any], make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    first = run(config, out=tmp_path / "run")
    for kind in ("images", "labels"):
        (tmp_path / kind).rename(tmp_path / f"moved_{kind}")
    for part in ("train", "val"):
        config["data"][part] = {
            kind: pattern.replace(f"/{kind}/", f"/moved_{kind}/")
            for kind, pattern in config["data"][part].items()
        }
    again = run(config, out=tmp_path / "run", resume=True)
    assert again.data["validation"] == first.data["validation"]
    make_raster("moved_images/train_1_ortho.tif", data=np.full((4, 64, 80), 7, np.uint8))
    began = (tmp_path / "run" / "config.yaml").read_bytes()
    with pytest.raises(
        ConfigError,
        match=r"data\.train: mean .*, but the run in .*run began with .*; give the same",
    ):
        run(config, out=tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "config.yaml").read_bytes() == began
    next((tmp_path / "moved_images").glob("train_2*")).unlink()
    next((tmp_path / "moved_labels").glob("train_2*")).unlink()
    with pytest.raises(
        ConfigError, match=r"data\.train: tiles 1, but the run in .*run began with 2; give the same"
    ):
        run(config, out=tmp_path / "run", resume=True)


@undrawn
def test_a_resumed_run_needs_no_pretrained_weights(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []
    made = geoseg.create_model

    def create(*args: Any, encoder_weights: str | None, **options: Any) -> Any:
        asked.append(encoder_weights)
        return made(*args, **options)

    monkeypatch.setattr("geoseg.models.create_model", create)
    config["model"]["encoder_weights"] = "imagenet"
    run(config, out=tmp_path / "run", resume=True)
    run(config, out=tmp_path / "run", resume=True)
    assert asked == ["imagenet", None]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.mean=[1, 2, 3]", r"data\.mean: 3 numbers for 2 bands"),
        (
            "data.value_range=[0, 50]",
            r"data\.value_range: \[0\.0, 50\.0\], but the training rasters hold \d+ to \d+",
        ),
        ("train.class_weights=[1]", r"train\.class_weights: 1 numbers for 2 classes"),
        ("model.system=hcnt", "there is no system 'hcnt'"),
        ("model.options={wide: 3}", "wide"),
        ("train.device=cuda:99", "device 'cuda:99' is not there"),
    ],
)
def test_configs_that_do_not_fit_the_data_are_refused_before_anything_is_written(
    config: dict[str, Any], tmp_path: Path, override: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run(config, out=tmp_path / "run", overrides=[override])
    assert not (tmp_path / "run").exists()


@undrawn
def test_a_model_may_begin_with_another_one(config: dict[str, Any], tmp_path: Path) -> None:
    run(config, out=tmp_path / "first")
    start = f"model.start_from={tmp_path / 'first' / 'model.safetensors'}"
    notes = Notes()
    run(
        config,
        out=tmp_path / "second",
        overrides=[start, "data.bands={red: 1, nir: 4}"],
        progress=notes,
    )
    assert notes.lines[0].endswith(
        "model.safetensors; first convolution fitted to bands red, nir (from nir, red)"
    )
    assert (
        load_model(tmp_path / "second" / "model.safetensors").card.training["start_from"]
        == "model.safetensors"
    )
    first, second = ((tmp_path / name / "metrics.csv").read_text() for name in ("first", "second"))
    assert float(second.splitlines()[1].split(",")[3]) < float(first.splitlines()[1].split(",")[3])
    (tmp_path / "first" / "model.safetensors").unlink()
    run(
        config,
        out=tmp_path / "second",
        overrides=[start, "data.bands={red: 1, nir: 4}"],
        resume=True,
    )


@undrawn
def test_rare_classes_may_be_drawn_as_often_as_others(
    config: dict[str, Any], tmp_path: Path
) -> None:
    texts = []
    for sampling in ("uniform", "balanced"):
        run(config, out=tmp_path / sampling, overrides=[f"train.sampling={sampling}"])
        texts.append((tmp_path / sampling / "metrics.csv").read_text())
    assert texts[0] != texts[1]


def test_tensorboard_is_named_where_it_is_missing(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "find_spec", lambda _: None)
    with pytest.raises(
        ConfigError,
        match=r"train\.tensorboard: TensorBoard is not installed; pip install 'geoseg\[",
    ):
        run(config, out=tmp_path / "run", overrides=["train.tensorboard=true"])
    assert not (tmp_path / "run").exists()


def test_labels_with_an_unknown_value_are_refused(config: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"value 10 \([\d,]+ pixels\), which no class has"):
        run(config, out=tmp_path / "run", overrides=["data.classes=[dark, bright]"])


@pytest.mark.parametrize(
    ("value", "message"),
    [(7, ".* value 7 .*, which no class has"), (255, "no pixel of the validation labels")],
)
def test_validation_labels_are_checked_before_the_training(
    config: dict[str, Any],
    tmp_path: Path,
    make_raster: Callable[..., Path],
    value: int,
    message: str,
) -> None:
    make_raster("labels/val_1_gt.tif", data=np.full((1, 64, 80), value, np.uint8))
    with pytest.raises(SourceError, match=rf"val_1_gt\.tif: {message}"):
        run(config, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "override", ["model.system=hcnt", "model.start_from=nosuch", "train.device=gpu"]
)
def test_what_does_not_depend_on_pixels_is_refused_before_they_are_read(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, override: str
) -> None:
    monkeypatch.setattr(
        "geoseg.commands.train.collect_statistics", lambda *_: pytest.fail("pixels were read")
    )
    with pytest.raises(GeosegError, match=r"there is no system|cannot be read|is unknown"):
        run(config, out=tmp_path / "run", overrides=[override])


@undrawn
def test_a_class_that_never_occurs_is_named(config: dict[str, Any], tmp_path: Path) -> None:
    config["data"]["classes"] = [*config["data"]["classes"], {"id": 77, "name": "car"}]
    report = run(config, out=tmp_path / "run")
    assert report.data["warnings"] == [
        "no training pixel shows car: the model cannot learn it; "
        "check data.classes and the labels of data.train"
    ]


def test_a_folder_that_cannot_be_written_is_named(config: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot be written .*; choose another --out"):
        run(config, out=tmp_path / "file" / "run")


@undrawn
def test_class_weights_may_be_given_or_left_out(config: dict[str, Any], tmp_path: Path) -> None:
    texts = []
    for index, weights in enumerate(("median", "none", "[1, 5]")):
        run(config, out=tmp_path / str(index), overrides=[f"train.class_weights={weights}"])
        texts.append((tmp_path / str(index) / "metrics.csv").read_text())
    assert len(set(texts)) == 3


@pytest.mark.slow
def test_a_killed_training_with_workers_leaves_none_and_is_resumed(
    config: dict[str, Any], tmp_path: Path
) -> None:
    config["train"] |= {"steps": 400, "save_every": 3, "validate_every": 400, "workers": 2}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "geoseg.cli", "train", str(tmp_path / "config.yaml")]
    command += ["--out", str(tmp_path / "run"), "--quiet"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run/last.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    line = "geoseg: interrupted; --resume continues from the last saved state\n"
    assert (process.returncode, errors) == (143, line)
    assert not psutil.wait_procs(workers, timeout=20)[1]
    shorter = ["--resume", "--set", "train.workers=0"]
    again = subprocess.run([*command, *shorter], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr


@undrawn
def test_what_metadata_says_about_images_is_named(config: dict[str, Any], tmp_path: Path) -> None:
    for path in tmp_path.glob("images/*.tif"):
        declare_scale(path, 0.5, 1.0)
    lines = run(config, out=tmp_path / "run").data["warnings"]
    assert [line for line in lines if "declares scale" in line and "(and so 2 more)" in line]


def draw(path: Path, layer: str, shapes: list[Any], **columns: Any) -> None:
    frame = geopandas.GeoDataFrame(columns, geometry=shapes, crs="EPSG:32632")
    frame.to_file(path, layer=layer)


@undrawn
def test_a_layer_of_several_is_named_and_what_it_leaves_out_is_told(
    config: dict[str, Any], tmp_path: Path
) -> None:
    """The labels are those of the layer: the left half is bright in one, the right in the other."""
    west, east = (shapely.box(x, 5_399_968, x + 20, 5_400_000) for x in (500_000, 500_020))
    line = shapely.LineString([(500_000, 5_399_990), (500_030, 5_399_990)])
    draw(tmp_path / "drawn.gpkg", "west", [west, line], kind=["bright", "bright"])
    draw(tmp_path / "drawn.gpkg", "east", [east], kind=["bright"])
    entry = {"labels": str(tmp_path / "drawn.gpkg"), "attribute": "kind"}
    for part in ("train", "val"):
        config["data"][part] |= entry
    config["data"]["classes"] = ["background", "bright"]
    with pytest.raises(
        VectorError, match=r"holds 2 layers \(west, east\); name one \(.* layer: NA"
    ):
        run(config, out=tmp_path / "run")
    config["data"]["train"]["layer"] = config["data"]["val"]["layer"] = "north"
    with pytest.raises(VectorError, match="has no layer 'north'; choose one of west, east"):
        run(config, out=tmp_path / "run")
    config["data"]["train"]["layer"] = config["data"]["val"]["layer"] = "west"
    report = run(config, out=tmp_path / "run")
    (told,) = (text for text in report.data["warnings"] if "drawn.gpkg" in text)
    assert told.endswith("or leave them out of the file")
    assert "drawn.gpkg: 1 LineString hold no area and are left out; draw their areas" in told
    (row,) = report.data["label_files"]
    assert (row["features"], row["burnt"], row["dropped"]) == (2, 1, {"LineString": 1})
    card = load_model(tmp_path / "run" / "model.safetensors").card
    assert card.training["class_pixels"] == {"background": 2 * 64 * 40, "bright": 2 * 64 * 40}


@undrawn
def test_polygons_that_miss_their_only_image_are_told(
    config: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "drawn").mkdir()
    for name, west in (("train_1", 500_000), ("train_2", 600_000), ("val_1", 500_000)):
        box = shapely.box(west, 5_399_968, west + 20, 5_400_000)
        draw(tmp_path / f"drawn/{name}.gpkg", name, [box], kind=["bright"])
        for part in ("train", "val"):
            labels = str(tmp_path / f"drawn/{part}_*.gpkg")
            config["data"][part] |= {"labels": labels, "attribute": "kind"}
    config["data"]["classes"] = ["background", "bright"]
    report = run(config, out=tmp_path / "run")
    (told,) = (text for text in report.data["warnings"] if "none of its" in text)
    assert re.search(r"train_2\.gpkg: none of its 1 polygon lies on .*train_2_ortho\.tif", told)
    assert [row["burnt"] for row in report.data["label_files"]] == [1, 1, 0]


def test_images_of_palette_indices_are_refused(
    config: dict[str, Any], make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    del config["data"]["bands"]
    for path in tmp_path.glob("images/*.tif"):
        make_raster(f"images/{path.name}", bands=1, photometric="PALETTE")
        with rasterio.open(path, "r+") as file:
            file.write_colormap(1, {1: (255, 0, 0, 255)})
    with pytest.raises(SourceError, match="palette indices"):
        run(config, out=tmp_path / "run")


class Changing(Progress):
    """Lets something happen after so many steps."""

    def __init__(self, step: int, change: Callable[[], object]) -> None:
        self.step, self.change, self.training = step, change, False

    def begin(self, what: str, total: int) -> None:
        self.training = what == "training"

    def advance(self, count: int) -> None:
        self.step -= count * self.training
        if not self.step:
            self.step = -1
            self.change()


@undrawn
@pytest.mark.parametrize("name", ["images/train_1_ortho.tif", "labels/val_1_gt.tif"])
def test_data_that_is_replaced_meanwhile_ends_the_training_and_its_last_state_continues(
    config: dict[str, Any], tmp_path: Path, name: str
) -> None:
    whole = run(config, out=tmp_path / "whole").data["validation"]
    path, original = tmp_path / name, tmp_path / "original.tif"
    shutil.copy2(path, original)
    with rasterio.open(path) as file:
        other = file.read()

    def change() -> None:
        with rasterio.open(path, "r+") as file:
            file.write(np.flip(other))

    message = rf"{name}: changed while it was trained on; .*; --resume continues from the last"
    with pytest.raises(SourceError, match=message) as refused:
        run(config, out=tmp_path / "run", progress=Changing(4, change))
    assert exit_code_of(refused.value) == 1
    os.replace(original, path)
    assert run(config, out=tmp_path / "run", resume=True).data["validation"] == whole


@pytest.mark.parametrize("name", ["labels.zip", "labels.kml"])
def test_labels_in_other_vector_formats_say_what_to_do(
    config: dict[str, Any], tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("anything")
    for part in ("train", "val"):
        config["data"][part]["labels"] = str(tmp_path / name)
    with pytest.raises(GeosegError, match=rf"{name}: .* is not read; .*(unpack|-f GPKG labels)"):
        run(config, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@undrawn
def test_an_empty_list_of_ignored_values_is_none(config: dict[str, Any], tmp_path: Path) -> None:
    expected = run(config, out=tmp_path / "plain").data["validation"]
    config["data"]["ignore"] = []
    assert run(config, out=tmp_path / "run").data["validation"] == expected


@undrawn
def test_labels_may_be_colours(
    config: dict[str, Any], tmp_path: Path, make_raster: Callable[..., Path]
) -> None:
    expected = run(config, out=tmp_path / "values").data["validation"]
    for path in sorted((tmp_path / "labels").iterdir()):
        with rasterio.open(path) as file:
            ids = file.read(1) // 10
        colors = np.array([[255, 0, 0], [0, 0, 255]], np.uint8)[ids]
        make_raster(f"labels/{path.name}", data=np.moveaxis(colors, -1, 0))
    config["data"]["classes"] = [
        {"id": 0, "name": "dark", "color": [255, 0, 0]},
        {"id": 10, "name": "bright", "color": [0, 0, 255]},
    ]
    assert run(config, out=tmp_path / "run").data["validation"] == expected


def test_what_a_killed_training_left_in_its_folder_is_swept_by_the_next(
    config: dict[str, Any], tmp_path: Path
) -> None:
    run(config, out=tmp_path / "run")
    for name in ("model.safetensors", "last.safetensors"):
        (tmp_path / "run" / name).unlink()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = [
        tmp_path / "run" / f".{name}.{ended.pid}-x1.geoseg"
        for name in ("model.safetensors", "last.safetensors")
    ]
    left.append(tmp_path / "run" / "pictures" / f".step_000003.png.{ended.pid}-x1.geoseg")
    for each in left:
        each.mkdir(parents=True)
        (each / "half").write_text("half")
    run(config, out=tmp_path / "run")
    assert not [path for path in (tmp_path / "run").rglob(".*") if path.name.endswith(".geoseg")]


@undrawn
def test_polygons_that_reach_around_the_world_are_trained_on(
    config: dict[str, Any], tmp_path: Path
) -> None:
    boxes = [shapely.box(-180, -85, 180, 85), shapely.box(-180, -85, 9.0002, 85)]
    frame = geopandas.GeoDataFrame({"kind": ["dark", "bright"]}, geometry=boxes, crs="EPSG:4326")
    frame.to_file(tmp_path / "drawn.gpkg")
    for part in ("train", "val"):
        config["data"][part] |= {"labels": str(tmp_path / "drawn.gpkg"), "attribute": "kind"}
    run(config, out=tmp_path / "run")
    pixels = load_model(tmp_path / "run" / "model.safetensors").card.training["class_pixels"]
    assert sum(pixels.values()) == 2 * 64 * 80
    assert min(pixels.values()) > 0


def test_a_crop_far_larger_than_the_tiles_is_refused_before_anything_begins(
    config: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with pytest.raises(
        ConfigError, match=r"train\.crop 20000: .* of tiles of 64 x 80 at most"
    ) as refused:
        run(config, out=out, overrides=["train.crop=20000"])
    assert exit_code_of(refused.value) == 2
    assert not out.exists()


@pytest.mark.parametrize("name", ["metrics.csv", "curves.png", "model.safetensors", "pictures"])
def test_what_is_of_another_kind_in_the_place_of_an_output_is_refused_at_once(
    config: dict[str, Any], tmp_path: Path, name: str
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "config.yaml").write_text(CONFIG_MARK)  # of a training that ended before its first state
    if name == "pictures":
        (out / name).touch()
    else:
        (out / name).mkdir()
    with pytest.raises(OutputError, match=rf"{name} is a (folder|file)"):
        run(config, out=out)
    assert {path.name for path in out.iterdir()} == {"config.yaml", name}
