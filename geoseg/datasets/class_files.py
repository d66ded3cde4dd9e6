"""Classes by the names, files and models that say what they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geoseg.classes import SCHEMES, ClassScheme
from geoseg.errors import ConfigError, shown
from geoseg.given import path_text
from geoseg.models import load_card
from geoseg.models.named import model_file
from geoseg.yaml_files import read_yaml


def read_classes(given: Any, ignore: Any = None) -> ClassScheme:
    """The class scheme behind a name (isprs, cityscapes), a classes file, its content, or a model.

    Args:
        given: the name of a scheme, the path of a classes file or of a model, or what a classes
            file holds.
        ignore: label values to ignore instead of those of the scheme.

    Raises:
        ConfigError: there is no such scheme or file, or it does not describe classes.
        ModelError: the model file is damaged.
    """
    if not isinstance(given, str):
        document = dict(given) if isinstance(given, Mapping) else {"classes": given}
        return ClassScheme.parse(document if ignore is None else document | {"ignore": ignore})
    given = path_text("classes", given)
    named = Path(given) if given in SCHEMES else model_file(given)
    if given not in SCHEMES and not _is_file(named):
        known = ", ".join(SCHEMES)
        raise ConfigError(
            f"{shown(given)[1:-1]}: no such classes file, and no scheme; known schemes are {known}"
        )
    if given in SCHEMES or named.suffix == ".safetensors":
        scheme = SCHEMES[given] if given in SCHEMES else load_card(named).classes
        if ignore is None:
            return scheme
        values = ignore if isinstance(ignore, list | tuple) else (ignore,)
        return dataclasses.replace(scheme, ignore=tuple(values))
    document = read_yaml(Path(given))
    try:
        return read_classes(document, ignore)
    except ConfigError as error:
        raise ConfigError(f"{given}: {error}") from error


def _is_file(path: Path) -> bool:
    """Whether there may be such a file; a text that no file can be named is none."""
    try:
        return path.is_file()
    except PermissionError:  # who reads it says so
        return True
    except (OSError, ValueError):  # too long, or with surrogates
        return False
