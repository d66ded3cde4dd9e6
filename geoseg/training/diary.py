"""What a run leaves for people to look at: metrics.csv, curves.png, a page of pictures a validation, TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from geoseg.classes import ClassScheme
from geoseg.metrics import ConfusionMatrix
from geoseg.training.board import Board
from geoseg.training.history import History, plot_curves, read_rows
from geoseg.training.pictures import Panel, draw_page
from geoseg.training.recipe import Recipe


class Diary:
    """Kept in the run folder by the one process that writes."""

    def __init__(
        self, folder: Path, scheme: ClassScheme, recipe: Recipe, first_step: int = 0
    ) -> None:
        """Go on with what stands in the folder up to `first_step`."""
        self._folder, self._scheme = folder, scheme
        self._history = History(folder / "metrics.csv", scheme.names, first_step)
        self._board = Board(folder / "tensorboard", first_step) if recipe.tensorboard else None

    def add(
        self, step: int, seconds: float, rate: float, loss: float, confusion: ConfusionMatrix | None
    ) -> None:
        """Note steps done, training time, learning rate, mean loss since the last note, and a validation if any."""
        self._history.add(step, seconds, rate, loss, confusion)
        if self._board is not None:
            figures = {"loss": loss, "learning_rate": rate}
            if confusion is not None:
                figures |= {
                    f"validation/{name}": getattr(confusion, name)
                    for name in ("mean_iou", "overall_accuracy")
                }
                figures |= {
                    f"iou/{name}": iou
                    for name, iou in zip(self._scheme.names, confusion.iou.tolist(), strict=True)
                }
            self._board.add(step, figures)

    def draw(self, step: int, panels: Sequence[Panel]) -> None:
        """Draw the curves so far, and what the network saw."""
        plot_curves(read_rows(self._history.path), self._folder / "curves.png")
        if panels:
            draw_page(panels, self._scheme, self._folder / "pictures" / f"step_{step:06}.png")
