"""The hub that ImageNet weights are downloaded from: does it have them, and does it answer."""

from __future__ import annotations

import huggingface_hub
import segmentation_models_pytorch as smp
import timm

from geoseg.errors import ModelError, one_line_reason
from geoseg.models.weights import IMAGENET

_TIMEOUT = 5.0
"""Seconds that the hub may take to answer."""
_WEIGHTS_FILES = ("model.safetensors", "pytorch_model.bin")
"""Names of weights on the hub."""


def pretrained_argument(name: str, weights: str | None) -> str | bool | None:
    """How smp is asked for ImageNet weights: None for no others, True for those of timm's models.

    Raises:
        ModelError: there are none of this encoder, or they are not on this machine and the hub
            cannot be reached.
    """
    if weights != IMAGENET:
        return None
    if name.startswith("tu-"):
        argument: str | bool = True
        exists = timm.models.is_model_pretrained(name[3:])
    else:
        argument = IMAGENET
        exists = IMAGENET in smp.encoders.encoders[name]["pretrained_settings"]
    if not exists:
        raise ModelError(
            f"there are no imagenet weights of {name}; give a file, package:NAME or null"
        )
    _check_available(name)
    return argument


def download_error(name: str, reason: Exception) -> ModelError:
    """The error for ImageNet weights that are not on this machine and cannot be downloaded."""
    return ModelError(
        f"the imagenet weights of {name} cannot be fetched ({one_line_reason(reason)}); "
        "connect to the network once, or give encoder_weights as a file or package:NAME"
    )


def _check_available(name: str) -> None:
    """Refuse weights that are neither on this machine nor on a hub that answers.

    One question is asked beforehand, because the hub's own client repeats an unanswered one for a
    minute and logs each attempt.
    """
    repository, revision = _location(name)
    if repository is None or huggingface_hub.is_offline_mode():
        return  # downloaded from elsewhere, or answered from this machine at once
    cached = [
        huggingface_hub.try_to_load_from_cache(repository, file, revision=revision)
        for file in _WEIGHTS_FILES
    ]
    if any(isinstance(path, str) for path in cached):
        return
    url = huggingface_hub.hf_hub_url(repository, "config.json", revision=revision)
    try:
        huggingface_hub.get_session().head(url, timeout=_TIMEOUT)
    except Exception as error:  # of the HTTP library that the hub's client is built on
        raise download_error(name, error) from error


def _location(name: str) -> tuple[str | None, str | None]:
    """Repository and revision of an encoder's ImageNet weights; None where the hub has none."""
    if name.startswith("tu-"):
        known = timm.get_pretrained_cfg(name[3:])
        repository, _, revision = ((known and known.hf_hub_id) or "").partition("@")
        return repository or None, revision or None
    settings = smp.encoders.encoders[name]["pretrained_settings"][IMAGENET]
    return settings.get("repo_id"), settings.get("revision")
