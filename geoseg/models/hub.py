"""The hub that smp and timm fetch ImageNet weights from: what they are asked for, and whether it can be reached."""

from __future__ import annotations

import huggingface_hub
import segmentation_models_pytorch as smp
import timm

from geoseg.errors import ModelError
from geoseg.models.weights import IMAGENET, first_line

SECONDS = 5.0
"""How long the hub may take to answer."""
FILES = ("model.safetensors", "pytorch_model.bin")
"""Under which names the hub keeps weights."""


def hub_argument(name: str, weights: str | None) -> str | bool | None:
    """What smp wants to hear about ImageNet weights: nothing, their name, or True for timm's models.

    Raises:
        ModelError: there are none of this encoder, or they are not on this machine and the hub cannot be reached.
    """
    if weights != IMAGENET:
        return None
    timms = name.startswith("tu-")
    there_are = (
        timm.models.is_model_pretrained(name[3:])
        if timms
        else IMAGENET in smp.encoders.encoders[name]["pretrained_settings"]
    )
    if not there_are:
        raise ModelError(
            f"there are no imagenet weights of {name}; give a file, package:NAME or null"
        )
    _require(name)
    return True if timms else IMAGENET


def unreachable(name: str, reason: Exception) -> ModelError:
    """The error for ImageNet weights that are not on this machine and cannot be fetched."""
    return ModelError(
        f"the imagenet weights of {name} cannot be fetched ({first_line(reason)}); connect to the network once, or "
        "give encoder_weights as a file or package:NAME"
    )


def _require(name: str) -> None:
    """Ask the hub for one answer: its own client repeats an unanswered question for a minute, and says so line by line.

    Raises:
        ModelError: the weights are not on this machine and the hub does not answer.
    """
    repository, revision = _place(name)
    if repository is None or huggingface_hub.is_offline_mode():
        return  # fetched from elsewhere, or answered from this machine at once
    if any(
        isinstance(huggingface_hub.try_to_load_from_cache(repository, f, revision=revision), str)
        for f in FILES
    ):
        return
    try:
        huggingface_hub.get_session().head(
            huggingface_hub.hf_hub_url(repository, "config.json", revision=revision),
            timeout=SECONDS,
        )
    except (
        Exception
    ) as error:  # its kind depends on the HTTP library that the hub's client is built on
        raise unreachable(name, error) from error


def _place(name: str) -> tuple[str | None, str | None]:
    """Repository and revision of an encoder's ImageNet weights; None where they are not on the hub."""
    if name.startswith("tu-"):
        known = timm.get_pretrained_cfg(name[3:])
        repository, _, revision = ((known and known.hf_hub_id) or "").partition("@")
        return repository or None, revision or None
    settings = smp.encoders.encoders[name]["pretrained_settings"][IMAGENET]
    return settings.get("repo_id"), settings.get("revision")
