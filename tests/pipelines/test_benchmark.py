"""The benchmarks' pipeline at toy size, on folders with the layout of the real ones."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import rasterio

from geoseg.classes import ISPRS
from geoseg.datasets.layouts import VAIHINGEN_SPLITS
from tests import sample_datasets

SMALL = [
    *("--encoder", "tu-test_resnet", "--steps", "2"),
    *("--set", "train.batch=2", "--set", "train.crop=32", "--set", "train.workers=0"),
    *("--set", "predict={window: 32, overlap: 8}"),
]


@pytest.fixture
def script() -> ModuleType:
    """The script of the pipelines folder, which is not a package."""
    path = Path(__file__).parents[2] / "pipelines" / "benchmark.py"
    spec = importlib.util.spec_from_file_location("benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["benchmark"] = module  # where dataclasses look a class's module up
    spec.loader.exec_module(module)
    return module


def metrics(out: Path) -> dict[str, object]:
    data: dict[str, object] = json.loads((out / "evaluated" / "metrics.json").read_text())
    return data


def test_vaihingen_from_folders_to_metrics(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    src = sample_datasets.write_vaihingen(
        tmp_path / "src", complete=False, tiles=[*VAIHINGEN_SPLITS["isprs"].train]
    )
    call = [
        "vaihingen",
        "--data",
        str(src),
        "--out",
        str(out),
        "--system",
        "hcnet",
        "--split",
        "audebert12-4",
        *SMALL,
    ]
    assert script.main(call) == 0
    assert "overall accuracy" in capsys.readouterr().out
    assert metrics(out)["protocol"] == "isprs-geoseg"
    assert len(list((out / "predicted").glob("*_polygons.gpkg"))) == 4
    assert script.main(call) == 0  # again: nothing is prepared, trained or predicted twice
    assert "0 images made, 16 kept" in capsys.readouterr().out


def test_potsdam_with_missing_tiles_continues_and_reports_them(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    src = sample_datasets.write_potsdam(
        tmp_path / "src", tiles=["2_10", "2_11", "2_12", "7_10", "2_13"]
    )
    out = tmp_path / "out"
    call = ["potsdam", "--data", str(src), "--out", str(out), "--system", "fcn", *SMALL]
    assert script.main(call) == 1
    assert "train: 20 of 22 tiles lack image or labels: 3_10, " in capsys.readouterr().out
    with rasterio.open(out / "predicted/top_potsdam_2_13_classes.tif") as file:
        assert file.crs.to_epsg() == 32633
    assert metrics(out)["classes_in_accuracy"] == list(ISPRS.names)


def test_cityscapes_gives_label_ids_and_the_scale_sensitive_iou(
    script: ModuleType, tmp_path: Path
) -> None:
    src, out = sample_datasets.write_cityscapes(tmp_path / "src"), tmp_path / "out"
    call = ["cityscapes", "--data", str(src), "--out", str(out), "--system", "ocrnet", *SMALL]
    assert script.main(call) == 0
    with rasterio.open(out / "labelIds/lindau_000000_000019.png") as file:
        assert set(np.unique(file.read())) <= {7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33}
    assert metrics(out)["protocol"] == "cityscapes"
    assert "scale_iou" in metrics(out)


@pytest.mark.parametrize("name", ["vaihingen", "potsdam", "cityscapes"])
def test_an_error_is_one_line_and_exit_code_2(
    script: ModuleType, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = [name, "--data", str(tmp_path / "no"), "--out", str(tmp_path / "out")]
    assert script.main(call) == 2
    assert capsys.readouterr().err.startswith(
        f"{name}: {tmp_path / 'no'}: no such file or folder; give the folder"
    )


def test_each_benchmark_has_its_recipes_and_a_single_one_serves_all_systems(
    script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "danet" in script.systems("potsdam")
    assert "hcnet" in script.systems("vaihingen")
    assert "danet" not in script.systems("vaihingen")
    with pytest.raises(SystemExit):
        script.parse(["vaihingen", "--data", "x", "--system", "danet"])
    assert "--system danet: choose apcnet, " in capsys.readouterr().err
    chosen = script.parse(["potsdam", "--data", "x", "--system", "danet", "--set", "train.batch=2"])
    assert chosen.out == Path("runs/potsdam")
    config, changes = script.recipe(chosen, Path("nowhere"))
    assert config.name == "potsdam_hcnet.yaml"
    assert changes == [
        "data.train=[]",
        "data.val=[]",
        'data.classes="nowhere/classes.yaml"',
        "model.system=danet",
        "train.aux_weights={}",
        "train.batch=2",
    ]
    own, changes = script.recipe(script.parse(["vaihingen", "--data", "x"]), Path("nowhere"))
    assert own.name == "vaihingen_hcnet.yaml"
    assert len(changes) == 3


@pytest.mark.skipif(
    "GEOSEG_DATA" not in os.environ, reason="needs the real crop under $GEOSEG_DATA"
)
def test_a_real_crop_of_vaihingen_goes_through(script: ModuleType, tmp_path: Path) -> None:
    folder = Path(os.environ["GEOSEG_DATA"]) / "isprs_vaihingen"
    if not folder.is_dir():
        pytest.skip("no isprs_vaihingen under $GEOSEG_DATA")
    # Its quarters take the places of four tiles; colours are those of the eroded labels.
    for area, (row, col) in {"1": (0, 0), "3": (0, 256), "30": (256, 0), "2": (256, 256)}.items():
        for name, target in (("image", "top"), ("label_isprs_colours", ".")):
            with rasterio.open(next(folder.glob(f"*_{name}.png"))) as file:
                crop = file.read()[:, row : row + 256, col : col + 256]
            sample_datasets.write(
                tmp_path / "src" / target / f"top_mosaic_09cm_area{area}.tif", crop
            )
    out = tmp_path / "out"
    changes = [
        "--erode",
        "0",
        "--set",
        "train.crop=128",
        "--set",
        "predict={window: 256, overlap: 64}",
    ]
    src = str(tmp_path / "src")
    call = ["vaihingen", "--data", src, "--out", str(out), "--system", "fcn", *SMALL, *changes]
    assert script.main(call) == 1
    manifest = json.loads((out / "data/manifest.json").read_text())
    with rasterio.open(next(folder.glob("*_label_index.png"))) as file:
        index = file.read(1)[256:, 256:]  # 0: no label, then the classes in their order
    counts = np.bincount(index.ravel(), minlength=7)[1:].tolist()
    assert list(manifest["parts"]["test"]["class_pixels"].values()) == counts
    with rasterio.open(out / "predicted/top_mosaic_09cm_area2_classes.tif") as file:
        assert file.shape == (256, 256)
    assert (out / "predicted/top_mosaic_09cm_area2_polygons.gpkg").exists()
