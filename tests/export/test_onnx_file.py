"""An ONNX file gives what its model gives, at any size, and says what it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import geoseg
from geoseg.errors import ModelError
from geoseg.export import onnx_file
from geoseg.export.agreement import generated_tiles
from geoseg.export.onnx_file import write_onnx
from geoseg.export.traced import Probabilities
from geoseg.models import HEADS, Card, Model
from tests.models.test_families import FAMILIES

SIZES = [(1, 1), (7, 31), (64, 64), (65, 64), (100, 257), (256, 256), (511, 90), (512, 512)]
SIZES += [(640, 1000), (1024, 1024)]
SYSTEMS = sorted(set(geoseg.systems()) - {"pixel", "ranet"})


def labels_agree(path: Path, model: Model, sizes: list[tuple[int, int]], least: float) -> None:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    reference = Probabilities(model.net).eval()
    for height, width in sizes:
        image = torch.randn(2 if height < 100 else 1, len(model.card.bands), height, width)
        with torch.inference_mode():
            wanted = reference(image).numpy()
        (found,) = session.run(None, {"image": image.numpy()})
        assert found.shape == wanted.shape
        assert (found.argmax(1) == wanted.argmax(1)).mean() >= least, (height, width)


@pytest.fixture(scope="module")
def written(exported_model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    write_onnx(exported_model, path, "fp32", generated_tiles(exported_model.card, [96, 33]))
    return path


def test_one_input_and_one_output_of_any_batch_and_size(
    written: Path, exported_model: Model
) -> None:
    session = onnxruntime.InferenceSession(written, providers=["CPUExecutionProvider"])
    (image,), (probabilities,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.shape) == ("image", ["batch", 2, "height", "width"])
    assert (probabilities.name, probabilities.shape[1]) == ("probabilities", 3)
    labels_agree(written, exported_model, SIZES, 0.999)


def test_the_file_holds_the_card_and_how_it_agrees(written: Path, exported_model: Model) -> None:
    onnx.checker.check_model(onnx.load(written), full_check=True)
    facts = {entry.key: entry.value for entry in onnx.load(written).metadata_props}
    assert Card.from_json(facts["geoseg_card"]) == exported_model.card
    assert json.loads(facts["geoseg_agreement"])["label_agreement"] == 1.0
    assert json.loads(facts["model_type"]) == "Segmentor"


def test_the_lines_of_the_documents_give_the_labels_of_geoseg(
    written: Path, make_raster: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).integers(0, 2048, (2, 61, 83)).astype(np.uint16)
    raster = make_raster(data=pixels)
    monkeypatch.chdir(raster.parent)
    (raster.parent / "mine.onnx").write_bytes(written.read_bytes())
    raster.rename(raster.with_name("tile.tif"))
    text = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(lines, names)
    wanted, _ = geoseg.predict_array(pixels, geoseg.load_model(written), precision="fp32")
    assert (names["classes"] == wanted).mean() >= 0.999


def test_the_same_model_is_the_same_file(written: Path, exported_model: Model) -> None:
    again = written.with_name("again.onnx")
    write_onnx(exported_model, again, "fp32", generated_tiles(exported_model.card, [96, 33]))
    assert again.read_bytes() == written.read_bytes()
    assert b".py" not in written.read_bytes()  # no path of the machine that wrote it


def test_a_graph_that_gives_something_else_gets_no_name(
    exported_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Model(
        geoseg.create_model("pixel", classes=3, in_channels=2).eval(), exported_model.card
    )
    trace = onnx_file.trace
    monkeypatch.setattr(onnx_file, "trace", lambda _: trace(other.net))
    with pytest.raises(ModelError, match=r"differs from the model .*; nothing was written"):
        write_onnx(
            exported_model,
            tmp_path / "m.onnx",
            "fp32",
            generated_tiles(exported_model.card, [64]),
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "least"), [("fp16", 0.99), ("int8", 0.8)])
def test_smaller_numbers_agree_as_far_as_is_said(
    exported_model: Model, tmp_path: Path, precision: str, least: float
) -> None:
    model = geoseg.load_model("demo")
    path = tmp_path / "model.onnx"
    tiles = generated_tiles(model.card, [128, 200])
    agreement = write_onnx(model, path, precision, tiles)
    assert agreement.labels >= least
    facts = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(facts["geoseg_agreement"])["precision"] == precision


@pytest.mark.slow
@pytest.mark.parametrize(
    "encoder",
    [
        *(name for name in FAMILIES if not re.search("swin|dinov3", name)),
        "tu-tf_efficientnet_lite0",  # pads as TensorFlow does, as do the next ones
        "tu-tf_efficientnetv2_b0",
        "tu-tf_mixnet_s",
        "tu-resnetv2_50x1_bit",  # norm-free weights and pools of the same kind
    ],
)
def test_every_family_of_encoders_is_exported_for_any_size(
    encoder: str, tmp_path: Path, exported_model: Model
) -> None:
    torch.manual_seed(1)
    net = geoseg.create_model("fcn", encoder=encoder, classes=3, in_channels=2, channels=16)
    card = exported_model.card.model_copy(update={"spec": net.spec})
    model = Model(net.eval(), card)
    write_onnx(model, tmp_path / "m.onnx", "fp32", generated_tiles(card, [96, 77]))
    labels_agree(tmp_path / "m.onnx", model, [(32, 64), (65, 64), (100, 257), (224, 224)], 0.999)


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_is_exported_for_ten_sizes(
    system: str, tmp_path: Path, exported_model: Model
) -> None:
    torch.manual_seed(1)
    narrow = system in HEADS and hasattr(HEADS[system].presets["geoseg"], "channels")
    options: dict[str, Any] = {"channels": 64} if narrow else {}
    encoder = "tu-vit_tiny_patch16_224" if system == "smp.dpt" else "resnet18"
    net = geoseg.create_model(system, encoder=encoder, classes=3, in_channels=2, **options)
    card = exported_model.card.model_copy(update={"spec": net.spec})
    model = Model(net.eval(), card)
    write_onnx(model, tmp_path / "m.onnx", "fp32", generated_tiles(card, [96, 77]))
    labels_agree(tmp_path / "m.onnx", model, [(32, 32), *SIZES[2:]], 0.999)
