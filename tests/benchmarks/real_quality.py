"""Shared encoding against whole windows on real imagery, by models that geoseg has trained.

The imagery is found through ``$GEOSEG_DATA``, models below ``$GEOSEG_RUNS`` (``runs``); what is
missing is said and left out.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, product
from pathlib import Path
from typing import NamedTuple

import numpy as np

import geoseg
from geoseg.inference.encode_options import Encode
from geoseg.metrics import BoundaryF1, ConfusionMatrix
from geoseg.metrics.paired import paired_difference
from geoseg.models import Model
from geoseg.raster import open_raster
from geoseg.tiling.cutting import divided
from tests.benchmarks.sharing import predict_labels

PIECE = 300
"""Pixels, roughly: a strip is scored in squares of this side."""
SMALL_CELL = 256
"""Pixels. In these, many cells meet in a strip; cells of the default size are measured too."""


@dataclass(frozen=True, slots=True)
class Imagery:
    """Images that nothing was trained on, and their labels."""

    images: str
    """A pattern below ``$GEOSEG_DATA``."""
    labels: str
    nodata: float | None = None


BANEPA = Imagery("banepa_buildings/val/*_image.tif", "banepa_buildings/val/*_label.tif")
DRONE = Imagery("dronedeploy10cm/val/ec09_image.tif", "dronedeploy10cm/val/ec09_label.tif", 0)
CHIPS = Imagery(
    "dronedeploy10cm/val/chips_1d4f/images/*.png", "dronedeploy10cm/val/chips_1d4f/labels/*.png"
)
_DRONE = "geoseg train configs/dronedeploy.yaml"
MODELS: dict[str, tuple[tuple[Imagery, ...], str]] = {
    "buildings-rgb": ((BANEPA,), ""),
    "drone": ((DRONE, CHIPS), _DRONE),
    "drone-fcn": ((DRONE, CHIPS), f"{_DRONE} --set model.system=fcn"),
    "drone-unet": (
        (DRONE, CHIPS),
        f"{_DRONE} --set model.system=smp.unet --set model.options={{}} "
        "--set model.output_stride=null",
    ),
}
"""Models by name, the imagery of each, and how those are trained that do not come with geoseg."""


class Piece(NamedTuple):
    """The counts of a square."""

    confusion: ConfusionMatrix
    boundary: BoundaryF1


def shared_real(folder: Path) -> None:
    """Mean IoU and boundary F1 of shared against whole windows, paired over pieces of real scenes.

    Scores are of all pieces together; intervals are the jackknife's over the pieces.
    """
    data = os.environ.get("GEOSEG_DATA")
    if data is None:
        print("set GEOSEG_DATA to the folder of the imagery; nothing is measured", flush=True)
        return
    for name, (imagery, training) in MODELS.items():
        file: str | Path = name
        if training:
            run = Path(os.environ.get("GEOSEG_RUNS", "runs")) / name
            file = run / "model.safetensors"
            if not file.is_file():
                print(f"{name}: left out; make it by {training} --out {run}", flush=True)
                continue
        _compare(name, geoseg.load_model(file), _scenes(Path(data), imagery))


def _scenes(data: Path, imagery: Sequence[Imagery]) -> list[tuple[Path, Path, float | None]]:
    """Image, labels and nodata of each scene."""
    return [
        (image, labels, each.nodata)
        for each in imagery
        for image, labels in zip(
            sorted(data.glob(each.images)), sorted(data.glob(each.labels)), strict=True
        )
    ]


def _compare(name: str, model: Model, scenes: list[tuple[Path, Path, float | None]]) -> None:
    """Print what sharing makes of each window and overlap, in cells of two sizes."""
    for window, share in product((256, 512), (0, 4, 2)):
        overlap = window // share if share else 0
        whole = [_labels(model, scene, "window", window, overlap) for scene in scenes]
        for cell in (None, SMALL_CELL):
            shared = [_labels(model, scene, "shared", window, overlap, cell) for scene in scenes]
            text = _difference(
                [_pieces(model, *pair) for pair in zip(scenes, shared, strict=True)],
                [_pieces(model, *pair) for pair in zip(scenes, whole, strict=True)],
            )
            same = np.concatenate(
                [(a == b).ravel() for a, b in zip(shared, whole, strict=True)]
            ).mean()
            size = "the default" if cell is None else cell
            print(
                f"{name} {window}/{overlap}, cells of {size}: {text}; labels agree {same:.4f}",
                flush=True,
            )


def _labels(
    model: Model,
    scene: tuple[Path, Path, float | None],
    encode: Encode,
    window: int,
    overlap: int,
    cell: int | None = None,
) -> np.ndarray:
    source = open_raster(scene[0], wanted=model.card.bands, nodata=scene[2])
    return predict_labels(model, source, encode, window, overlap, cell)


def _pieces(
    model: Model, scene: tuple[Path, Path, float | None], labels: np.ndarray
) -> list[Piece]:
    """The counts of the squares of a scene that have any reference."""
    source = open_raster(scene[1], as_stored=True)
    with source.open() as reader:
        reference = reader.read(0, 0, source.height, source.width)[0][0]
    classes = len(model.card.classes)
    cuts = [divided(0, side, max(1, round(side / PIECE))) for side in reference.shape]
    pieces = []
    for (top, bottom), (left, right) in product(*map(pairwise, cuts)):
        core = slice(top, bottom), slice(left, right)
        piece = Piece(ConfusionMatrix(classes), BoundaryF1(classes))
        piece.confusion.update(reference[core], labels[core])
        up, back = (min(start, piece.boundary.halo) for start in (top, left))
        seen = (
            slice(top - up, bottom + piece.boundary.halo),
            slice(left - back, right + piece.boundary.halo),
        )
        inside = slice(up, up + bottom - top), slice(back, back + right - left)
        piece.boundary.update(reference[seen], labels[seen], inside)
        if piece.confusion.present.any():
            pieces.append(piece)
    return pieces


def _difference(shared: list[list[Piece]], whole: list[list[Piece]]) -> str:
    """Both scores of both ways, and the difference with its interval."""
    ours, theirs = (list(chain(*each)) for each in (shared, whole))
    texts = []
    for index, name in enumerate(("mean IoU", "boundary F1")):
        own, other = (_score(pieces)[index] for pieces in (ours, theirs))
        # Pseudovalues of the jackknife: what each piece adds to the difference.
        without = [
            _score(ours[:place] + ours[place + 1 :])[index]
            - _score(theirs[:place] + theirs[place + 1 :])[index]
            for place in range(len(ours))
        ]
        count = len(ours)
        pseudo = [count * (own - other) - (count - 1) * each for each in without]
        _, low, high = paired_difference(pseudo, [0.0] * count)
        texts.append(
            f"{name} {own:.4f} against {other:.4f} ({own - other:+.4f}, {low:+.4f} to {high:+.4f})"
        )
    return "; ".join(texts)


def _score(pieces: Sequence[Piece]) -> tuple[float, float]:
    """Mean IoU and mean boundary F1 of all pieces, over the classes of the reference."""
    confusion, boundary = pieces[0]
    for piece in pieces[1:]:
        confusion, boundary = confusion + piece.confusion, boundary + piece.boundary
    return confusion.mean_iou, float(np.nanmean(boundary.f1))
