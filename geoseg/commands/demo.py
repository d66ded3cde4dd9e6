"""The main job on two scenes of an invented town, compared with their known labels."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import rasterio

from geoseg.commands import predict
from geoseg.errors import ConfigError, GeosegError, ModelError
from geoseg.foreign import output_elsewhere
from geoseg.metrics import ConfusionMatrix
from geoseg.models import Model, load_model
from geoseg.progress import Progress
from geoseg.report import Report, shorten
from geoseg.scenes import BANDS, CLASSES, Scene, write_folder
from geoseg.unwritable import refuse_unwritable

SEED = 900_015
"""The demo's town. The bundled model was trained and validated on small seeds, not on it."""


def run(
    out: str | Path,
    *,
    size: int = 2048,
    seed: int = SEED,
    model: str | Path | Model | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Report:
    """Make two adjoining scenes, predict and vectorize them, and compare with the truth.

    Args:
        out: folder that gets ``images``, ``labels`` (the truth, which prediction never reads) and
            ``predicted``.
        size: height and width of each scene, pixels.
        seed: the town.
        model: a model file or a loaded model; the bundled one by default.
        progress: is informed of what happens; by default a bar in notebooks and terminals.
        options: options of ``geoseg predict`` with underscores.

    Returns:
        Where the files are and how good they are. `exit_code` is that of the prediction.

    Raises:
        ModelError: the bundled model is missing, or the given one has other bands or classes than
            the scenes.
        GeosegError: as from ``geoseg predict``.
    """
    if line := output_elsewhere(out):
        raise ConfigError(line)
    listener = progress or Progress()
    loaded = _model(model)
    folder = Path(out)
    refuse_unwritable(folder / "images")
    listener.note(f"drawing two adjoining scenes of {size} x {size} pixels in {folder}")
    scenes = write_folder(folder, scenes=2, size=size, seed=seed)
    bands = [BANDS.index(band) + 1 for band in loaded.card.bands]
    predicted = predict.run(
        folder / "images",
        loaded,
        folder / "predicted",
        progress=progress,
        **{"bands": bands, **options},
    )
    outputs = [entry.get("outputs", {}) for entry in predicted.data.get("inputs", [])]
    confusion = ConfusionMatrix(len(CLASSES))
    for scene in scenes:
        raster = _class_raster(scene, outputs)
        if scene.labels is not None and raster is not None:
            _count(confusion, scene.labels, raster)
    data = {**predicted.data, "accuracy": _accuracy(confusion)}
    return Report(_text(folder, predicted, outputs, confusion), data, predicted.exit_code)


def _model(given: str | Path | Model | None) -> Model:
    bundled = resources.files("geoseg") / "data" / "demo.safetensors"
    if given is None and not bundled.is_file():
        raise ModelError(
            "this installation has no geoseg/data/demo.safetensors; "
            "reinstall geoseg, or give a model"
        )
    with resources.as_file(bundled) as path:
        model = given if isinstance(given, Model) else load_model(given or path)
    unknown = [band for band in model.card.bands if band not in BANDS]
    if unknown:
        raise ModelError(
            f"the model needs band {unknown[0]!r}; the demo's scenes have {', '.join(BANDS)}"
        )
    if model.card.classes.names != CLASSES.names:
        raise ModelError(
            f"the model was trained for {shorten(model.card.classes.names, 20)}; "
            f"the demo needs one for {', '.join(CLASSES.names)}"
        )
    return model


def _class_raster(scene: Scene, outputs: Sequence[dict[str, str]]) -> Path | None:
    """The scene's class raster; None where its prediction failed."""
    rasters = [Path(files["classes"]) for files in outputs if "classes" in files]
    wanted = f"{scene.image.stem}_classes.tif"
    return next((raster for raster in rasters if raster.name == wanted), None)


def _count(confusion: ConfusionMatrix, truth: Path, raster: Path) -> None:
    """Add a pair of rasters to the confusion matrix, block by block."""
    with rasterio.open(truth) as reference, rasterio.open(raster) as predicted:
        if reference.shape != predicted.shape:
            raise GeosegError(
                f"{raster} is {predicted.shape}, its scene {reference.shape} pixels; "
                "remove the folder"
            )
        for _, block in reference.block_windows(1):
            confusion.update(reference.read(1, window=block), predicted.read(1, window=block))


def _accuracy(confusion: ConfusionMatrix) -> dict[str, Any]:
    return {
        "mean_iou": confusion.mean_iou,
        "overall_accuracy": confusion.overall_accuracy,
        "iou": {
            name: iou if present else None
            for name, iou, present in zip(
                CLASSES.names, confusion.iou.tolist(), confusion.present, strict=True
            )
        },
        "confusion_matrix": confusion.matrix.tolist(),
        "missed": confusion.missed.tolist(),
    }


def _text(
    folder: Path, predicted: Report, outputs: Sequence[dict[str, str]], confusion: ConfusionMatrix
) -> str:
    lines = [predicted.text, "", f"orthophotos          {folder / 'images'}"]
    names = {
        "classes": "class rasters",
        "gpkg": "polygons",
        "shp": "polygons",
        "preview": "previews",
    }
    for kind in dict.fromkeys(kind for files in outputs for kind in files):
        title = names.get(kind, kind)
        for files in outputs:
            if kind in files:
                lines.append(f"{title:<20} {files[kind]}")
                title = ""
    lines += ["", f"against the known truth in {folder / 'labels'}:"]
    lines += [
        f"  {name:<22} IoU {iou:.3f}"
        for name, iou in zip(CLASSES.names, confusion.iou, strict=True)
    ]
    lines.append(
        f"  mean IoU {confusion.mean_iou:.3f}, overall accuracy {confusion.overall_accuracy:.3f}"
    )
    return "\n".join(lines)
