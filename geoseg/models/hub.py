"""Models of a model hub, fetched when the user names one as ``hf://USER/NAME``."""

from __future__ import annotations

from pathlib import Path

from geoseg.errors import ModelError, one_line_reason

SCHEME = "hf://"
HUB_FILE = "model.safetensors"
HUB_FILES = (HUB_FILE, "config.json", "README.md")
"""Of a repository, as `geoseg export` writes it."""


def is_hub_name(name: str) -> bool:
    """Whether a model's name is one of a hub, not a path."""
    return name.startswith(SCHEME)


def fetch(name: str) -> Path:
    """The model file of a repository in the hub's cache, fetched where it is not there yet.

    The address, token and cache are huggingface_hub's own settings: ``HF_ENDPOINT``, ``HF_TOKEN``,
    ``HF_HOME``, ``HF_HUB_OFFLINE``.

    Args:
        name: ``hf://USER/NAME``, or ``hf://USER/NAME@REVISION``.

    Raises:
        ModelError: the name is no repository's, or it cannot be fetched.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repository, _, revision = name.removeprefix(SCHEME).partition("@")
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise ModelError(f"{name}: give hf://USER/NAME, or hf://USER/NAME@REVISION")
    try:
        return Path(hf_hub_download(repository, HUB_FILE, revision=revision or None))
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"{name}: the hub cannot be reached and the model is not in its cache "
            f"({one_line_reason(error)}); connect once, or download {HUB_FILE} and give its path"
        ) from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise ModelError(
            f"{name}: cannot be fetched ({one_line_reason(error)}); check the name, and that the "
            f"repository holds {HUB_FILE}"
        ) from error
