"""What a model may be called: a file, a model that comes with geoseg, or one of a model hub."""

from __future__ import annotations

import os
from pathlib import Path

from geoseg.errors import ModelError
from geoseg.given import given_path
from geoseg.models.hub import HUB_FILE, fetch, is_hub_name

_DATA = Path(__file__).parents[1] / "data"
SHIPPED = {name: _DATA / f"{name}.safetensors" for name in ("demo", "buildings-rgb")}
"""The files of the models that come with geoseg, by name."""
FOLDER_CARDS = ("card.yaml", "card.yml")
"""The card of a folder with an ONNX file."""


def model_file(name: str | os.PathLike[str]) -> Path:
    """The file of a model; a file of that name comes before a model that comes with geoseg.

    Args:
        name: a path (of a folder too, that holds one model), a name in `SHIPPED`, or
            ``hf://USER/NAME``, which is fetched where it is not in the hub's cache.

    Raises:
        ModelError: a model of a hub cannot be fetched, or a folder holds no model, or several.
        ConfigError: the name is no path.
    """
    text = os.fspath(given_path("model", name))
    if is_hub_name(text):
        return fetch(text)
    path = Path(text)
    if os.path.isdir(text) and text not in SHIPPED:
        return _file_in(path)
    return SHIPPED[text] if text in SHIPPED and not os.path.isfile(text) else path


def is_model_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a path is the folder of a model: one that is a model's by its name, or with a card.

    An ONNX file alone may lie among rasters.
    """
    return any(os.path.isfile(Path(path) / name) for name in (HUB_FILE, *FOLDER_CARDS))


def _file_in(folder: Path) -> Path:
    """The one model in a folder: ``model.safetensors``, or an ONNX file."""
    whole = folder / HUB_FILE
    found = [whole] if whole.is_file() else sorted(folder.glob("*.onnx"))
    if len(found) != 1:
        raise ModelError(
            f"{folder}: holds {len(found)} models; give the path of a model file, or of a folder "
            f"with {HUB_FILE} or one .onnx file"
        )
    return found[0]
