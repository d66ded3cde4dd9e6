"""Shared encoding against whole windows: as good, and how much faster?"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

import geoseg
from geoseg import scenes
from geoseg.inference.encode_options import Encode, EncodeOptions, make_grid
from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.predictor import Predictor
from geoseg.inference.stream import stream_block
from geoseg.metrics import BoundaryF1, ConfusionMatrix
from geoseg.metrics.paired import paired_difference
from geoseg.models import Model
from geoseg.raster import Source, open_raster
from tests.benchmarks.imagery import write_imagery
from tests.benchmarks.models import write_model

SCENES, FIRST_SEED, SIDE = 20, 950_000, 1024
"""Towns that the bundled model has not seen, in training or validation."""
CELL = 256
"""Of these: small, so that many cells meet in a town."""
DEMO = Path(geoseg.__file__).with_name("data") / "demo.safetensors"
NETWORKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "hcnet-resnet50": ("hcnet", "resnet50", {}),
    "ocrnet-resnet50": ("ocrnet", "resnet50", {}),
    "isnet-resnet50": ("isnet", "resnet50", {}),
    "unet-resnet18": ("smp.unet", "resnet18", {}),
}
LOCAL_NETWORKS = {
    "fcn-resnet18": ("fcn", "resnet18", {"output_stride": 8}),
    "unet-resnet18": ("smp.unet", "resnet18", {}),
}
ROUNDS = 3


def shared_quality(folder: Path) -> None:
    """Mean IoU and boundary F1 of shared against whole windows, paired over 20 unseen towns."""
    model = geoseg.load_model(DEMO)
    for window in (256, 512):
        for share in (0, 4, 2):
            overlap = window // share if share else 0
            scores: dict[Encode, list[tuple[float, float]]] = {"shared": [], "window": []}
            agreed = []
            for seed in range(FIRST_SEED, FIRST_SEED + SCENES):
                image, labels = folder / f"{seed}.tif", folder / f"{seed}-labels.tif"
                if not image.exists():
                    scenes.write_scene(image, SIDE, seed, labels=labels)
                with open_raster(labels).open() as reader:
                    reference = reader.read(0, 0, SIDE, SIDE)[0][0]
                found = {
                    encode: predict_labels(
                        model,
                        open_raster(image, wanted=model.card.bands),
                        encode,
                        window,
                        overlap,
                        CELL,
                    )
                    for encode in scores
                }
                for encode, each in found.items():
                    scores[encode].append(_score(reference, each, len(model.card.classes)))
                agreed.append((found["shared"] == found["window"]).mean())
            _print_difference(window, overlap, scores, float(np.mean(agreed)))


def _score(reference: np.ndarray, labels: np.ndarray, classes: int) -> tuple[float, float]:
    confusion, boundary = ConfusionMatrix(classes), BoundaryF1(classes)
    confusion.update(reference, labels)
    boundary.update(reference, labels)
    return confusion.mean_iou, float(np.nanmean(boundary.f1))


def _print_difference(
    window: int, overlap: int, scores: dict[Encode, list[tuple[float, float]]], agreed: float
) -> None:
    texts = []
    for index, name in enumerate(("mean IoU", "boundary F1")):
        shared = [each[index] for each in scores["shared"]]
        whole = [each[index] for each in scores["window"]]
        mean, low, high = paired_difference(shared, whole)
        texts.append(
            f"{name} {np.mean(shared):.4f} against {np.mean(whole):.4f} "
            f"({mean:+.4f}, {low:+.4f} to {high:+.4f})"
        )
    print(f"{window}/{overlap}: {'; '.join(texts)}; labels agree {agreed:.4f}", flush=True)


def predict_labels(
    model: Model, source: Source, encode: Encode, window: int, overlap: int, cell: int | None = None
) -> np.ndarray:
    """The classes of a whole raster."""
    predictor = Predictor(model, ForwardOptions())
    labels = np.empty((source.height, source.width), np.uint8)
    shared = EncodeOptions(encode, cell if encode == "shared" else None).sharing(model.card)
    grid = make_grid(source.height, source.width, window, overlap, "blend", shared)
    for block in grid.blocks(classes=predictor.classes):
        for _, band in stream_block(block, source, predictor):
            labels[band.area.slices()] = band.labels
    return labels


def shared_speed(folder: Path) -> None:
    """Processor seconds of shared against whole windows, 2048 x 2048, interleaved, medians."""
    _compare(folder, 2048, NETWORKS, ROUNDS)


def local_speed(folder: Path) -> None:
    """The same of networks without context, in cells alone, 4096 x 4096, one round."""
    _compare(folder, 4096, LOCAL_NETWORKS, 1)


def _compare(folder: Path, size: int, networks: dict[str, Any], rounds: int) -> None:
    source = open_raster(write_imagery(folder / f"{size}.tif", size))
    for name, (system, encoder, options) in networks.items():
        model = geoseg.load_model(
            write_model(folder / f"{name}.safetensors", system, encoder, **options)
        )
        seconds: dict[Encode, list[float]] = {"window": [], "shared": []}
        for _ in range(rounds):
            for encode, each in seconds.items():
                started = time.process_time()
                predict_labels(model, source, encode, model.card.window, model.card.overlap)
                each.append(time.process_time() - started)
        window, shared = (statistics.median(each) for each in seconds.values())
        print(
            f"{name}: window {window:.1f} s, shared {shared:.1f} s, ratio {window / shared:.2f}",
            flush=True,
        )
