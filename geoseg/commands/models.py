"""The models that come with geoseg: what each takes, gives, and may be used for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geoseg.models import load_card
from geoseg.models.named import SHIPPED
from geoseg.report import Report
from geoseg.value_ranges import as_lists

TOLD = ("range", "source", "limits")
"""What the card of such a model also tells of its training, where it does: the ground samplings
that it has seen, whose data they were, and what it cannot do."""


def run() -> Report:
    """List the models that come with geoseg.

    Raises:
        ModelError: a model file of the installation is missing or damaged.
    """
    lines, described = [], []
    for name, path in SHIPPED.items():
        card, megabytes = load_card(path), round(path.stat().st_size / 1e6, 1)
        sampling = "" if card.ground_sampling is None else f" at {card.ground_sampling:.2g} m"
        scores = card.training.get("validation", {})
        lines += [
            f"{name}  {card.spec.system} over {card.spec.encoder}, {megabytes} MB",
            f"  classes  {', '.join(card.classes.names)}",
            f"  takes    {', '.join(card.bands)}{sampling}",
            f"  scores   {_scores(scores)}",
            f"  license  {card.license or 'not stated'}",
        ]
        told = {key: card.training.get(key) for key in TOLD}
        lines += [f"  {key:<8} {text}" for key, text in told.items() if text is not None]
        described.append(
            {
                "name": name,
                "system": card.spec.system,
                "encoder": card.spec.encoder,
                "classes": list(card.classes.names),
                "bands": list(card.bands),
                "value_range": as_lists(card.value_range),
                "ground_sampling": card.ground_sampling,
                "license": card.license,
                "megabytes": megabytes,
                "validation": scores,
                **told,
            }
        )
    lines.append("--model takes these names, a model file, or hf://USER/NAME")
    return Report("\n".join(lines), {"models": described})


def _scores(scores: Mapping[str, Any]) -> str:
    """Mean IoU and that of each class, on images that the model was validated on."""
    if not scores:
        return "not stated"
    each = [f"{name} {value:.2f}" for name, value in scores["iou"].items() if value is not None]
    return f"mean IoU {scores['mean_iou']:.2f} in validation ({', '.join(each)})"
