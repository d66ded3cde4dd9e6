"""A file or folder of another program, read without running code from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from geoseg.errors import ModelError, shown
from geoseg.importing.origins import CONFIG, weights_file
from geoseg.models.file_content import read_digest
from geoseg.models.weights import read_tensors

_WRAPPERS = frozenset({"module", "model", "net", "network", "_orig_mod", "encoder", "backbone"})
"""Leading parts of a tensor's name that name what its network was wrapped in."""
_OF_TRAINING = frozenset({"loss", "losses", "criterion", "train_metrics", "val_metrics"})
"""Leading parts of names of what else was in the wrapper."""


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds."""

    path: Path
    """Of the file with the tensors."""
    tensors: Mapping[str, Tensor]
    """By name, without what the network was wrapped in, once `unwrapped`."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Of segmentation-models-pytorch; empty where there is none."""
    outside: tuple[str, ...] = ()
    """What lay beside the network: the training's tensors, and what is no tensor."""

    @property
    def digest(self) -> str:
        """SHA-256 of the file, in hexadecimal digits."""
        return read_digest(self.path)

    def has(self, anchors: Iterable[str]) -> bool:
        """Whether it has one of these tensors, in a wrapper or not."""
        return any(self._prefix_before(anchor) is not None for anchor in anchors)

    def unwrapped(self, anchors: Iterable[str], what: str) -> Checkpoint:
        """The same with the names that the network itself has.

        Args:
            anchors: names of tensors, one of which the network must have.
            what: the network, for messages.

        Raises:
            ModelError: it has none of them, or two of one name.
        """
        anchors = tuple(anchors)
        prefix = next((p for p in map(self._prefix_before, anchors) if p is not None), None)
        if prefix is None:
            some = f"others such as {shown(next(iter(self.tensors)))}"
            raise ModelError(
                f"{self.path}: is no {what}: it has no tensor {' or '.join(map(repr, anchors))}, "
                f"but {some if self.tensors else 'none at all'}; give --as what it is"
            )
        inside, outside = {}, list(self.outside)
        for name, tensor in self.tensors.items():
            if _is_of_training(name):
                outside.append(name)
            else:
                own = name.removeprefix(prefix)
                if own in inside:
                    raise ModelError(
                        f"{self.path}: holds {prefix}{own} and {own}, of two networks; "
                        "save one of them alone"
                    )
                inside[own] = tensor
        return Checkpoint(self.path, inside, self.config, tuple(outside))

    def _prefix_before(self, anchor: str) -> str | None:
        """What stands before a name in the file, if it is wrappers alone; None: no such name."""
        for name in self.tensors:
            prefix = name.removesuffix(anchor)
            if prefix == name and anchor:
                continue
            if not prefix or (prefix.endswith(".") and set(prefix[:-1].split(".")) <= _WRAPPERS):
                return prefix
        return None


def open_checkpoint(path: Path) -> Checkpoint:
    """The tensors of a file, or of a folder that segmentation-models-pytorch has written.

    Raises:
        ModelError: there is none, or it cannot be read.
    """
    file = weights_file(path)
    config = _read_config(path / CONFIG) if path.is_dir() else {}
    content = read_tensors(file)
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    others = tuple(str(name) for name in content if name not in tensors)
    return Checkpoint(file, tensors, config, others)


def _read_config(path: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: is no JSON text; save the model again") from error
    if not isinstance(config, Mapping):
        raise ModelError(f"{path}: holds no names and values; save the model again")
    return config


def _is_of_training(name: str) -> bool:
    """Whether a tensor belongs to a loss or a metric, itself in a wrapper or not."""
    return any(part in _OF_TRAINING for part in name.split(".")[:2])
