"""Libraries imported before the clock of a run starts, and before its network runs.

A thread that makes files would else import them beside the network, which waits for Python's lock
meanwhile: pyogrio brings all of pandas where that is installed.
"""

from __future__ import annotations

import importlib

from geoseg.inference.options import PredictOptions
from geoseg.models.card import Card

_OF_ENCODERS = ("geoseg.models.encoder",)
_OF_POLYGONS = ("pyogrio.raw", "scipy.sparse.csgraph")
_OF_PREVIEWS = ("matplotlib", "PIL.ImageDraw", "PIL.ImageFont", "PIL.PngImagePlugin")


def import_ahead(card: Card, options: PredictOptions) -> None:
    """Import what the model and the files of a run in this process need.

    Args:
        card: of the model.
        options: of the run.
    """
    here = not (options.dry_run or options.workers or options.scheduler)
    needed = {
        _OF_ENCODERS: card.spec.encoder is not None,
        _OF_POLYGONS: here and bool(options.vectors),
        _OF_PREVIEWS: here and bool(options.preview),
    }
    for names in (names for names, wanted in needed.items() if wanted):
        for name in names:
            importlib.import_module(name)
