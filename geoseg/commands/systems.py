"""The segmentation systems by name, with their papers."""

from __future__ import annotations

from geoseg.commands.report import Report
from geoseg.models import systems
from geoseg.models.context import HEADS

_READY_MADE = "segmentation-models-pytorch's own decoder"


def run() -> Report:
    """List the systems that `geoseg.create_model` knows, their presets and papers."""
    described = [
        {
            "name": name,
            "presets": list(HEADS[name].presets) if name in HEADS else ["geoseg"],
            "paper": HEADS[name].paper if name in HEADS else _READY_MADE,
        }
        for name in systems()
    ]
    width = max(len(name) for name in systems())
    lines = [f"{entry['name']:<{width}}  {entry['paper']}  [{', '.join(entry['presets'])}]" for entry in described]
    return Report("\n".join(lines), {"systems": described})
