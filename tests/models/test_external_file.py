"""Networks in ONNX, `torch.export` and TorchScript files give what they give by themselves."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import geoseg
from geoseg.errors import ConfigError, ModelError
from geoseg.models import load_card
from geoseg.models.parameter_count import count_parameters

CARD = "bands: [red, green, blue]\n"
FULL = CARD + "value_range: [0, 255]\nmean: [9, 9, 9]\nstd: [5, 5, 5]\nclasses: [road, roof]\n"


def onnx_file(
    path: Path,
    *,
    classes: int,
    side: int | None = None,
    end: str = "Softmax",
    element: int = TensorProto.FLOAT,
    **metadata: Any,
) -> Path:
    """A 3x3 convolution and a last step, with these metadata."""
    random = np.random.default_rng(0)
    kind = helper.tensor_dtype_to_np_dtype(element)
    weights = random.normal(size=(classes, 3, 3, 3)).astype(kind)
    last = helper.make_node(end, ["scores"], ["out"], **({"axis": 1} if end == "Softmax" else {}))
    graph = helper.make_graph(
        [helper.make_node("Conv", ["in", "w"], ["scores"], pads=[1] * 4), last],
        "g",
        [helper.make_tensor_value_info("in", element, ["n", 3, side or "h", side or "w"])],
        [helper.make_tensor_value_info("out", element, ["n", classes, side or "h", side or "w"])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {key: json.dumps(value) for key, value in metadata.items()})
    onnx.save(model, path)
    return path


def alone(path: Path, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (name,) = [entry.name for entry in session.get_inputs()]
    return session.run(None, {name: image})[0]


IMAGE = np.random.default_rng(1).normal(size=(2, 3, 31, 40)).astype(np.float32)
DEEPNESS = {"model_type": "Segmentor", "class_names": {"0": "road", "1": "roof"}, "tile_size": 64}


def test_a_network_with_deepness_metadata_gives_what_onnxruntime_gives(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "x.onnx", classes=2, **DEEPNESS)
    (tmp_path / "my.yaml").write_text(CARD)
    model = geoseg.load_model(path, tmp_path / "my.yaml")
    assert model.card == load_card(path, tmp_path / "my.yaml")
    assert (model.card.window, model.card.overlap) == (64, 16)
    found = model.net(torch.from_numpy(IMAGE)).softmax(1).numpy()
    np.testing.assert_allclose(found, alone(path, IMAGE), atol=1e-6)


def test_parameters_of_a_file_are_counted_or_left_out(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "x.onnx", classes=2, **DEEPNESS)
    (tmp_path / "card.yaml").write_text(FULL)
    model = geoseg.load_model(path)
    assert count_parameters(model.net) == 2 * 3 * 3 * 3
    assert "external, 54 parameters\n" in repr(model)
    frozen: Any = torch.jit.freeze(torch.jit.script(nn.Conv2d(3, 2, 1).eval()))
    frozen.save(tmp_path / "frozen.pt")
    model = geoseg.load_model(tmp_path / "frozen.pt")
    assert count_parameters(model.net) is None
    assert "external\n" in repr(model)


def test_one_channel_with_a_sigmoid_has_a_background(tmp_path: Path) -> None:
    metadata = {**DEEPNESS, "class_names": {"0": "roof"}}
    path = onnx_file(tmp_path / "x.onnx", classes=1, end="Sigmoid", **metadata)
    (tmp_path / "card.yaml").write_text(CARD)
    model = geoseg.load_model(tmp_path)  # the folder, with the card beside the network
    assert model.card.classes.names == ("background", "roof")
    labels = model.net(torch.from_numpy(IMAGE)).argmax(1).numpy()
    assert np.array_equal(labels, alone(path, IMAGE)[:, 0] > 0.5)


def test_a_fixed_side_is_the_window_and_smaller_images_are_padded(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "x.onnx", classes=2, side=48, **DEEPNESS)
    (tmp_path / "card.yaml").write_text(CARD)
    model = geoseg.load_model(path)
    assert (model.card.window, model.card.overlap) == (48, 16)
    padded = np.pad(IMAGE[:1], ((0, 0), (0, 0), (0, 17), (0, 8)), mode="edge")
    found = model.net(torch.from_numpy(IMAGE[:1])).softmax(1).numpy()
    np.testing.assert_allclose(found, alone(path, padded)[:, :, :31, :40], atol=1e-6)


def test_half_precision_inputs_are_given_as_such(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "x.onnx", classes=2, element=TensorProto.FLOAT16, **DEEPNESS)
    (tmp_path / "card.yaml").write_text(CARD)
    found = geoseg.load_model(path).net(torch.from_numpy(IMAGE)).softmax(1).numpy()
    np.testing.assert_allclose(found, alone(path, IMAGE.astype(np.float16)), atol=2e-3)


def cast_file(path: Path, element: int, shape: list[Any]) -> Path:
    """A network that takes images of this type and shape and gives them as scores."""
    graph = helper.make_graph(
        [helper.make_node("Cast", ["in"], ["out"], to=TensorProto.FLOAT)],
        "g",
        [helper.make_tensor_value_info("in", element, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path
    )
    return path


PLAIN = "classes: [road, roof, grass]\nbands: [red, green, blue]\nvalue_range: [0, 255]\n"


@pytest.mark.parametrize("element", ["UINT8", "UINT16", "INT16", "INT32", "DOUBLE"])
def test_images_of_other_types_are_rounded_to_them(tmp_path: Path, element: str) -> None:
    path = cast_file(tmp_path / "x.onnx", getattr(TensorProto, element), ["n", 3, "h", "w"])
    (tmp_path / "card.yaml").write_text(PLAIN + "mean: [0, 0, 0]\nstd: [1, 1, 1]\n")
    image = torch.tensor([7.6, 0.2, 254.0]).view(1, 3, 1, 1).expand(1, 3, 5, 6)
    found = geoseg.load_model(path).net(image)
    torch.testing.assert_close(found, image if element == "DOUBLE" else image.round())


def test_whole_numbers_are_not_standardised(tmp_path: Path) -> None:
    path = cast_file(tmp_path / "x.onnx", TensorProto.UINT8, ["n", 3, "h", "w"])
    (tmp_path / "card.yaml").write_text(PLAIN + "mean: [90, 90, 90]\nstd: [1, 1, 1]\n")
    with pytest.raises(ModelError, match=r"uint8 as they are; give --card FILE with mean: \[0, 0"):
        load_card(path)


@pytest.mark.parametrize("shape", [["n", "h", "w", 3], [1, 64, 64, 3]])
def test_bands_behind_rows_and_columns_are_refused_with_what_to_do(
    tmp_path: Path, shape: list[Any]
) -> None:
    path = cast_file(tmp_path / "x.onnx", TensorProto.FLOAT, shape)
    (tmp_path / "card.yaml").write_text(FULL)
    with pytest.raises(ModelError, match=r"whose bands come last; .*tf2onnx: --inputs-as-nchw"):
        load_card(path)


def test_what_no_metadata_say_must_be_given(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "x.onnx", classes=2, **DEEPNESS)
    with pytest.raises(
        ModelError, match=r"nothing says its bands; give --card FILE.* bands: \[red, green, blue\]$"
    ):
        load_card(path)
    bare = onnx_file(tmp_path / "y.onnx", classes=2)
    with pytest.raises(ModelError, match="nothing says its classes, bands, value_range, mean, std"):
        load_card(bare)
    (tmp_path / "full.yaml").write_text(FULL)
    assert load_card(bare, tmp_path / "full.yaml").spec.options["output"] == "logits"


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("bands: [red, green]\n" + FULL.split("\n", 1)[1].replace("9, 9, 9", "9, 9"), "std has 3"),
        (FULL.replace("red, green, blue", "r, g").replace("9, 9, 9", "9, 9").replace(
            "5, 5, 5", "5, 5"), r"takes 3 bands, its card names 2 \(r, g\)"),
    ],
)  # fmt: skip
def test_a_card_of_other_bands_is_refused(tmp_path: Path, card: str, message: str) -> None:
    path = onnx_file(tmp_path / "x.onnx", classes=2)
    (tmp_path / "card.yaml").write_text(card)
    with pytest.raises(ModelError, match=message):
        load_card(path)


def test_what_is_no_network_is_refused_before_a_card_is_asked_for(tmp_path: Path) -> None:
    onnx_file(tmp_path / "whole.onnx", classes=2)
    module, image = nn.Conv2d(3, 2, 1).eval(), torch.zeros(1, 3, 8, 8)
    torch.jit.trace(module, image).save(tmp_path / "whole.pt")
    torch.export.save(torch.export.export(module, (image,)), tmp_path / "whole.pt2")
    torch.save(module.state_dict(), tmp_path / "state.pt")
    torch.save(module, tmp_path / "module.pt")
    kinds = {".onnx": "ONNX", ".pt": "TorchScript", ".pt2": "torch.export"}
    for suffix, kind in kinds.items():
        whole = (tmp_path / f"whole{suffix}").read_bytes()
        for content in (b"no network", whole[: len(whole) // 2]):
            (tmp_path / f"x{suffix}").write_bytes(content)
            with pytest.raises(
                ModelError, match=rf"x{suffix}: is no {kind} file, or is cut short.*; copy .*again"
            ):
                load_card(tmp_path / f"x{suffix}")
    for name in ("state.pt", "module.pt"):
        with pytest.raises(
            ModelError,
            match=r"of torch\.save, which holds no network .*; geoseg import makes a mod",
        ):
            load_card(tmp_path / name)


def test_damage_within_a_file_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("x/constants.pkl", b"nothing")
    (tmp_path / "full.yaml").write_text(FULL)
    with pytest.raises(ModelError, match=r"x\.pt: is no torchscript .*or is damaged .*; copy it"):
        geoseg.load_model(tmp_path / "x.pt", tmp_path / "full.yaml")


def test_models_of_geoseg_take_no_card(tmp_path: Path) -> None:
    (tmp_path / "card.yaml").write_text(CARD)
    with pytest.raises(ConfigError, match=r"has a card of its own; leave --card .* out"):
        load_card("demo", tmp_path / "card.yaml")


def test_torchscript_and_programs_give_what_the_module_gives(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
    module.eval()
    image = torch.from_numpy(IMAGE)
    torch.jit.trace(module, image[:1]).save(tmp_path / "x.pt")
    program = torch.export.export(
        module,
        (image[:1],),
        dynamic_shapes=({2: torch.export.Dim("h", max=999), 3: torch.export.Dim("w", max=999)},),
    )
    torch.export.save(program, tmp_path / "y.pt2")
    (tmp_path / "full.yaml").write_text(FULL)
    for name in ("x.pt", "y.pt2"):
        model = geoseg.load_model(tmp_path / name, tmp_path / "full.yaml")
        torch.testing.assert_close(model.net(image), module(image))
