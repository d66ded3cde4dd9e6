"""The models that come with geoseg: what each takes, gives, and may be used for."""

from __future__ import annotations

from geoseg.models import load_card
from geoseg.models.named import SHIPPED
from geoseg.report import Report
from geoseg.value_ranges import as_lists


def run() -> Report:
    """List the models that come with geoseg.

    Raises:
        ModelError: a model file of the installation is missing or damaged.
    """
    lines, described = [], []
    for name, path in SHIPPED.items():
        card, megabytes = load_card(path), round(path.stat().st_size / 1e6, 1)
        sampling = "" if card.ground_sampling is None else f" at {card.ground_sampling:g} m"
        lines += [
            f"{name}  {card.spec.system} over {card.spec.encoder}, {megabytes} MB",
            f"  classes  {', '.join(card.classes.names)}",
            f"  takes    {', '.join(card.bands)}{sampling}",
            f"  license  {card.license or 'not stated'}",
        ]
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
            }
        )
    lines.append("--model takes these names, a model file, or hf://USER/NAME")
    return Report("\n".join(lines), {"models": described})
