"""What a model may be called: a file, a model that comes with geoseg, or one of a model hub."""

from __future__ import annotations

import os
from pathlib import Path

from geoseg.models.hub import fetch, is_hub_name

_DATA = Path(__file__).parents[1] / "data"
SHIPPED = {"demo": _DATA / "demo.safetensors"}
"""The files of the models that come with geoseg, by name."""


def model_file(name: str | os.PathLike[str]) -> Path:
    """The file of a model; a file of that name comes before a model that comes with geoseg.

    Args:
        name: a path, a name in `SHIPPED`, or ``hf://USER/NAME``, which is fetched where it is not
            in the hub's cache.

    Raises:
        ModelError: a model of a hub cannot be fetched.
    """
    text = os.fspath(name)
    if is_hub_name(text):
        return fetch(text)
    path = Path(text)
    return SHIPPED[text] if text in SHIPPED and not path.is_file() else path
