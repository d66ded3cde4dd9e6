"""The figures of a run for TensorBoard, where it is installed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from geoseg.errors import ConfigError


def require_tensorboard() -> None:
    """Refuse a run that asks for TensorBoard where there is none.

    Raises:
        ConfigError: with what to install.
    """
    if find_spec("tensorboard") is None:
        raise ConfigError(
            "train.tensorboard: TensorBoard is not installed; pip install 'geoseg[tensorboard]'"
        )


class Board:
    """An event file in a folder of its own."""

    def __init__(self, folder: Path, first_step: int = 0) -> None:
        """Go on at `first_step`: what a stopped run wrote after it is no longer shown."""
        require_tensorboard()
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=first_step)

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """Figures by name at a step."""
        for name, figure in figures.items():
            self._writer.add_scalar(name, figure, step)
        self._writer.flush()
