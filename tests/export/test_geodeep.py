"""A model exported for GeoDeep gives there what it gives here; run by ``make test-geodeep``."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import rasterio
from rasterio.transform import from_origin
from scipy.ndimage import median_filter

import geoseg
from geoseg import scenes
from geoseg.commands import export
from geoseg.errors import ConfigError, ModelError
from geoseg.export.agreement import Agreement, generated_tiles
from geoseg.export.onnx_file import write_onnx
from geoseg.export.readers import refuse_unreadable
from geoseg.models import Model

Make = Callable[..., Path]
GEODEEP = os.environ.get("GEODEEP_PYTHON")
SMOOTHED = 5
"""Side of the median filter that GeoDeep runs over its classes."""


def rgb_model(exported_model: Model, window: int = 64, **card: object) -> Model:
    net = geoseg.create_model("pixel", classes=3, in_channels=3)
    facts = {"bands": ("red", "green", "blue"), "value_range": (0.0, 255.0), "window": window}
    facts |= {"mean": (90.0, 100.0, 110.0), "std": (40.0, 50.0, 60.0), "overlap": 0}
    facts |= {"spec": net.spec, **card}
    return Model(net.eval(), exported_model.card.model_copy(update=facts))


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_file_standardises_tiles_of_one_size_itself(
    exported_model: Model, tmp_path: Path, precision: str, caplog: pytest.LogCaptureFixture
) -> None:
    model, path = rgb_model(exported_model), tmp_path / "m.onnx"
    agreement = write_onnx(model, path, precision, generated_tiles(model.card, [64, 32]), "geodeep")
    assert agreement.pixels == 64 * 64, "tiles of another size count for nothing"
    assert not [each for each in caplog.records if each.name == "root"], "of onnxruntime"
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", 3, 64, 64]
    values = np.random.default_rng(0).integers(0, 256, (1, 3, 64, 64), np.uint8)
    (found,) = session.run(None, {"image": (values / 255.0).astype(np.float32)})
    wanted = geoseg.predict_array(values[0], model, precision="fp32")[0]
    least = {"fp32": 1.0, "fp16": 0.99, "int8": 0.8}[precision]
    assert (found[0].argmax(0) == wanted).mean() >= least
    again = geoseg.predict_array(values[0], geoseg.load_model(path), precision="fp32")[0]
    assert (again == found[0].argmax(0)).all()


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"value_range": (0.0, 1.0)}, r"takes values of 0 to 255, this model 0 to 1; .*Deepness"),
        ({"bands": ("red", "nir"), "mean": (1.0, 2.0), "std": (1.0, 1.0)}, "models of 3 bands"),
    ],
)
def test_models_that_it_cannot_run_are_refused(
    exported_model: Model, card: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        refuse_unreadable(rgb_model(exported_model, **card).card, "geodeep")


def test_tiles_smaller_than_the_window_are_refused(make_raster: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"as large as the model's window, 512 px.*leave out"):
        export.run("demo", "onnx", tmp_path / "m.onnx", tiles=[make_raster()], reader="geodeep")


def test_a_ground_sampling_that_nobody_stated_is_warned_about(exported_model: Model) -> None:
    card = rgb_model(exported_model, ground_sampling=None).card
    same = Agreement(0.0, 1.0, 9)
    assert "takes 0.1 m a pixel" in export._warnings(card, "geodeep", "fp32", same, given=True)[0]
    assert not export._warnings(card, "any", "fp32", same, given=True)


@pytest.mark.slow
@pytest.mark.skipif(GEODEEP is None, reason="make test-geodeep installs GeoDeep and runs this")
@pytest.mark.parametrize(("overlap", "side"), [(0, 1536), (128, 1280)])
def test_geodeep_gives_the_labels_of_geoseg(
    make_raster: Make, tmp_path: Path, overlap: int, side: int
) -> None:
    path = tmp_path / "demo.onnx"
    image, _ = scenes.render(3, 0, 0, side, side)
    place = from_origin(5e5, 5e6, 0.15, 0.15)
    scene = make_raster(data=image[:3], tiled=True, photometric="MINISBLACK", transform=place)
    assert export.run("demo", "onnx", path, reader="geodeep").exit_code == 0
    with_overlap = onnx.load(path)
    facts = {entry.key: entry.value for entry in with_overlap.metadata_props}
    share = str(100 * overlap / int(facts["tile_size"]))
    onnx.helper.set_model_props(with_overlap, {**facts, "tiles_overlap": share})
    onnx.save(with_overlap, path)
    script = Path(__file__).with_name("geodeep_run.py")
    subprocess.run([str(GEODEEP), script, scene, path, tmp_path / "g.npy"], check=True)
    found = np.load(tmp_path / "g.npy")
    options = {"overlap": overlap, "stitch": "crop", "encode": "window", "vectors": "none"}
    options |= {"precision": "fp32"}
    report = geoseg.predict(scene, "demo", out=tmp_path / "out", **options)
    with rasterio.open(report.inputs[0].outputs["classes"]) as file:
        labels = file.read(1)
    smoothed = median_filter(labels, SMOOTHED, mode="nearest")
    exact, after = ((found == each).mean() for each in (labels, smoothed))
    print(f"of the labels {100 * after:.3f} % agree, {100 * exact:.3f} % before GeoDeep's filter")
    assert min(exact, after) >= 0.995
