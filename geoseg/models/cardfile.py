"""The card in a model file, read without its tensors."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import safe_open

from geoseg.errors import ConfigError, GeosegError, ModelError, one_line_reason
from geoseg.models.card import Card
from geoseg.models.external_file import SOURCES, read_external_card
from geoseg.models.file_content import reading, unreadable_error
from geoseg.models.named import model_file

CARD_KEY = "geoseg"
"""The key of the card in the file's metadata."""


def load_card(path: str | os.PathLike[str], card: str | os.PathLike[str] | None = None) -> Card:
    """The card of a model, without importing torch or building the network.

    Args:
        path: a model file, or another name of a model; see `model_file`.
        card: a card file (YAML), for networks of other programs.

    Raises:
        ModelError: the file is missing, damaged, no geoseg model, or from a newer geoseg.
    """
    path = model_file(path)
    if path.suffix in SOURCES:
        return read_external_card(path, None if card is None else Path(card))
    with open_model_file(path, framework="numpy") as file:
        refuse_card(path, card)
        return read_card(path, file.metadata())


def card_of(model: object, card: str | os.PathLike[str] | None = None) -> Card:
    """The card of a model that is loaded, or of a file's; see `load_card`.

    Args:
        model: a model file, or a loaded model.
        card: a card file (YAML), for files of networks of other programs.

    Raises:
        ModelError: as of `load_card`; or it is something else.
        ConfigError: `card` is given for a model that has its own.
    """
    if isinstance(model, str | os.PathLike):
        return load_card(model, card)
    own = getattr(model, "card", None)
    if not isinstance(own, Card):
        raise ModelError(
            f"model {type(model).__name__}: give the path of a model file, or what "
            "geoseg.load_model gives; of a torch module, "
            "geoseg.wrap(module, classes=[...], bands=[...], mean=[...], std=[...], "
            "value_range=(0, 255)) makes a model"
        )
    refuse_card("the model", card)
    return own


def refuse_card(path: Path | str, card: str | os.PathLike[str] | None) -> None:
    """Refuse a card for a model that has its own.

    Raises:
        ConfigError: there is one.
    """
    if card is not None:
        raise ConfigError(f"{path} has a card of its own; leave --card {os.fspath(card)} out")


@contextmanager
def open_model_file(path: Path, *, framework: str) -> Iterator[Any]:
    """The open safetensors file; errors while it is read become a `ModelError`.

    Args:
        path: the file.
        framework: whose tensors it gives: ``pt`` imports torch, ``numpy`` does not.

    Raises:
        ModelError: the file is missing, damaged or no safetensors file.
    """
    with reading(path), path.open("rb") as file:
        start = file.read(9)  # the length of the header in 8 bytes, then its first: a brace
    if start[8:] != b"{":
        raise ModelError(
            f"{path}: not a safetensors file; give a model file written by geoseg, or a network as "
            f"{', '.join(SOURCES)}; geoseg import makes a model file of weights"
        )
    try:
        with safe_open(path, framework=framework) as opened:
            yield opened
    except GeosegError:
        raise
    except OSError as error:
        raise unreadable_error(path, error) from error
    except Exception as error:  # what safetensors makes of damaged bytes has no end
        raise damaged_error(path, one_line_reason(error)) from error


def damaged_error(path: Path, reason: str) -> ModelError:
    """The error for a model file that is not as it was written."""
    return ModelError(f"{path}: damaged or cut short ({reason}); copy or download it again")


def read_card(path: Path, metadata: Mapping[str, str] | None) -> Card:
    """The card in the metadata of a model file.

    Raises:
        ModelError: there is none, or it is not a card, or of a newer geoseg.
    """
    if metadata is None or CARD_KEY not in metadata:
        raise ModelError(
            f"{path}: holds tensors but no geoseg card; give a file written by geoseg.save_model, "
            "or let geoseg import make one of these weights"
        )
    try:
        return Card.from_json(metadata[CARD_KEY])
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
