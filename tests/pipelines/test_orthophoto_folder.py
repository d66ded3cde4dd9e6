from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import rasterio


def load(name: str) -> ModuleType:
    """A script of the pipelines folder, which is not a package."""
    path = Path(__file__).parents[2] / "pipelines" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def arguments(make_raster: Callable[..., Path], tmp_path: Path) -> list[str]:
    """Three labelled tiles and an orthophoto that they explain."""
    for seed, name in enumerate(("train/1", "train/2", "val/3", "all/4")):
        rng = np.random.default_rng(seed)
        labels = np.kron(rng.integers(0, 2, (1, 4, 5)), np.ones((1, 16, 16))).astype(np.uint8)
        make_raster(
            f"{name}_image.tif",
            data=(60 + 120 * labels + rng.integers(0, 20, (3, 64, 80))).astype(np.uint8),
        )
        make_raster(f"{name}_label.tif", data=labels)
    (tmp_path / "all" / "4_label.tif").unlink()
    return [
        *("--images", f"{tmp_path}/train/*_image.tif", "--labels", f"{tmp_path}/train/*_label.tif"),
        *(
            "--val-images",
            f"{tmp_path}/val/*_image.tif",
            "--val-labels",
            f"{tmp_path}/val/*_label.tif",
        ),
        *(
            "--classes",
            "dark",
            "bright",
            "--predict",
            f"{tmp_path}/all",
            "--out",
            f"{tmp_path}/out",
        ),
        *(
            "--system",
            "fcn",
            "--encoder",
            "tu-test_resnet",
            "--steps",
            "6",
            "--batch",
            "2",
            "--crop",
            "32",
        ),
        *("--window", "64"),
    ]


def test_tiles_and_a_folder_become_rasters_and_polygons(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = load("orthophoto_folder")
    assert script.main(arguments) == 0
    assert "mean IoU" in capsys.readouterr().out
    out = tmp_path / "out"
    assert (out / "train" / "model.safetensors").exists()
    assert (out / "predicted" / "4_image_polygons.gpkg").exists()
    with rasterio.open(out / "predicted" / "4_image_classes.tif") as file:
        assert file.shape == (64, 80)
    assert script.main(arguments) == 0  # again: nothing is trained or predicted twice


def test_an_error_is_one_line_and_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    script = load("orthophoto_folder")
    assert script.main([*arguments, "--system", "nothing"]) == 2
    assert capsys.readouterr().err.startswith(
        "orthophoto_folder: model.system: there is no system 'nothing'"
    )
    with pytest.raises(SystemExit):
        script.main(arguments[:4] + arguments[6:])
    assert "go together" in capsys.readouterr().err
