"""The facts in a training state, read without its tensors and without torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import safe_open

from geoseg.errors import GeosegError, OutputError, one_line_reason

FORMAT = "geoseg-training-5"


def read_facts(path: Path) -> dict[str, Any]:
    """What `save_state` was given besides tensors. Whether the file is whole `load_state` says.

    Raises:
        OutputError: the file is not a training state of this version.
    """
    with open_state(path, framework="numpy") as file:
        facts: dict[str, Any] = json.loads(facts_text(path, file.metadata() or {}))
    return facts


def facts_text(path: Path, metadata: Mapping[str, str]) -> str:
    """The facts in the metadata of a training state, as JSON.

    Raises:
        OutputError: they are not those of a training state of this version.
    """
    if metadata.get("format") != FORMAT:
        raise OutputError(
            f"{path}: not the state of a training by this version of geoseg; "
            "start a new run in another --out"
        )
    return metadata.get("facts", "")


@contextmanager
def open_state(path: Path, *, framework: str) -> Iterator[Any]:
    """The open safetensors file.

    Args:
        path: the file.
        framework: whose tensors it gives: ``pt`` imports torch, ``numpy`` does not.

    Raises:
        OutputError: it cannot be read.
    """
    try:
        with safe_open(path, framework=framework) as file:
            yield file
    except GeosegError:
        raise
    except Exception as error:  # what safetensors and torch make of damaged bytes has no end
        raise OutputError(
            f"{path}: not a readable training state ({one_line_reason(error)}); "
            "restore it from a copy, or start a new run in another --out"
        ) from error
