"""Any module as a model: predicted, saved, loaded; facts that do not fit are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin
from torch import nn

import geoseg
from geoseg.errors import ModelError

FACTS: dict[str, Any] = {
    "classes": ["road", "roof", "grass"],
    "bands": ["red", "green"],
    "mean": [100, 110],
    "std": [50, 40],
    "value_range": (0, 255),
    "window": 64,
    "overlap": 16,
}


@pytest.fixture(scope="module")
def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 3, 1)
    )


@pytest.fixture
def image(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (2, 60, 57), np.uint8)
    path = tmp_path / "image.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=60,
        width=57,
        count=2,
        dtype="uint8",
        crs="EPSG:25832",
        transform=from_origin(5e5, 5e6, 0.5, 0.5),
    ) as file:
        file.write(pixels)
    return path


def labels(out: Path) -> np.ndarray:
    with rasterio.open(out / "image_classes.tif") as file:
        return file.read(1)


def test_one_window_is_labelled_as_the_module_labels_it(
    module: nn.Module, image: Path, tmp_path: Path
) -> None:
    model = geoseg.wrap(module, **FACTS)
    geoseg.predict(image, model, out=tmp_path / "out", vectors="none", precision="fp32")
    with rasterio.open(image) as file:
        pixels = torch.from_numpy(file.read().astype(np.float32))
    shift, scale = (torch.tensor(FACTS[name]).view(2, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        wanted = module.eval()(((pixels - shift) / scale)[None]).argmax(1)[0].numpy()
    found = labels(tmp_path / "out")
    assert np.argwhere(found != wanted).tolist() == []


def test_blocks_change_nothing_and_outputs_are_known_again(
    module: nn.Module, image: Path, tmp_path: Path
) -> None:
    small = {**FACTS, "window": 16, "overlap": 4}
    for name, block in (("a", "auto"), ("b", 16)):
        model = geoseg.wrap(module, **small)
        geoseg.predict(image, model, out=tmp_path / name, block=block, vectors="none")
    assert np.array_equal(labels(tmp_path / "a"), labels(tmp_path / "b"))
    again = geoseg.predict(image, geoseg.wrap(module, **small), out=tmp_path / "a", vectors="none")
    assert [entry["status"] for entry in again.data["inputs"]] == ["kept"]


@pytest.mark.parametrize("multiple", [1, 14])
def test_a_wrapped_module_is_saved_and_loaded(
    module: nn.Module, tmp_path: Path, multiple: int
) -> None:
    model = geoseg.wrap(module, **FACTS, multiple=multiple)
    path = geoseg.save_model(model.net, tmp_path / "m.safetensors", **FACTS)
    loaded = geoseg.load_model(path)
    assert loaded.card.classes == model.card.classes
    picture = torch.rand(2, 2, 33, 20)
    torch.testing.assert_close(loaded.net(picture), model.net(picture))


@pytest.mark.slow
def test_workers_get_the_module_and_give_the_same_labels(
    module: nn.Module, image: Path, tmp_path: Path
) -> None:
    model = geoseg.wrap(module, **{**FACTS, "window": 16, "overlap": 4})
    geoseg.predict(image, model, out=tmp_path / "a", vectors="none")
    geoseg.predict(image, model, out=tmp_path / "b", vectors="none", block=32, workers=2)
    assert np.array_equal(labels(tmp_path / "a"), labels(tmp_path / "b"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Unet", "DeepLabV3Plus", "Segformer"])
def test_networks_of_smp_are_labelled_as_by_themselves(
    name: str, image: Path, tmp_path: Path
) -> None:
    import segmentation_models_pytorch as smp

    torch.manual_seed(0)
    net = getattr(smp, name)("resnet18", encoder_weights=None, in_channels=2, classes=3).eval()
    model = geoseg.wrap(net, **FACTS, multiple=32)
    geoseg.predict(image, model, out=tmp_path / "out", vectors="none", precision="fp32")
    with rasterio.open(image) as file:
        pixels = torch.from_numpy(file.read().astype(np.float32))
    shift, scale = (torch.tensor(FACTS[key]).view(2, 1, 1) for key in ("mean", "std"))
    padded = nn.functional.pad(((pixels - shift) / scale)[None], (0, 7, 0, 4), mode="replicate")
    with torch.no_grad():
        wanted = net(padded).argmax(1)[0, :60, :57].numpy()
    assert (labels(tmp_path / "out") == wanted).mean() > 0.999


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"bands": ["red"]}, "mean has 2 entries, the network takes 1 bands"),
        ({"output": "softmax"}, "output 'softmax': use logits"),
        ({"multiple": 2.5}, "multiple 2.5: give 1 pixel or more"),
        ({"classes": geoseg.ClassScheme.from_names(["a"]), "colors": [(1, 2, 3)]}, "leave them"),
    ],
)
def test_facts_that_do_not_fit_are_refused(
    module: nn.Module, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        geoseg.wrap(module, **{**FACTS, **wrong})


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(ModelError, match=r"wrap takes a torch.nn.Module, not str; .*load_model"):
        geoseg.wrap("net.onnx", **FACTS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"classes": 2}, r"classes 2: give a list of names, such as \['road', 'roof'\]"),
        ({"classes": "road"}, "classes 'road': give a list of names"),
        ({"classes": ["road", 1]}, "classes: 1 is no name; give a list"),
        ({"bands": "nir"}, r"bands 'nir': give a list of names, such as \['red'"),
        ({"mean": 0.5}, "mean 0.5: give a number for each band"),
        ({"std": ["a", "b"]}, r"std \['a', 'b'\]: give a number for each band"),
        ({"value_range": 255}, r"value_range 255: give the lowest and the highest value"),
        ({"key": 5}, "key 5: give a text that names these weights"),
    ],
)
def test_facts_of_another_type_are_refused_in_a_line(
    module: nn.Module, facts: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message) as refused:
        geoseg.wrap(module, **FACTS | facts)
    assert "\n" not in str(refused.value)


def test_arrays_and_tensors_are_facts_too(module: nn.Module) -> None:
    given = {"mean": np.array(FACTS["mean"]), "std": torch.tensor(FACTS["std"])}
    assert geoseg.wrap(module, **FACTS | given).card == geoseg.wrap(module, **FACTS).card


def test_a_module_of_one_size_is_run_at_that_size(tmp_path: Path, image: Path) -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.places = nn.Conv2d(2, 3, 1), nn.Parameter(torch.zeros(1, 2, 80, 80))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x + self.places)

    model = geoseg.wrap(Fixed(), **{**FACTS, "window": 80, "multiple": 80})
    geoseg.predict(image, model, out=tmp_path / "out", vectors="none", precision="fp32")
    assert labels(tmp_path / "out").shape == (60, 57)


def test_a_module_without_values_is_refused() -> None:
    with pytest.raises(ModelError, match="weights are on device meta, without values"):
        geoseg.wrap(nn.Conv2d(2, 3, 1, device="meta"), **FACTS)
