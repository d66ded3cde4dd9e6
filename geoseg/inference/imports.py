"""Libraries imported before the clock of a run starts, and before its network runs.

A thread that makes files would else import them beside the network, which waits for Python's lock
meanwhile: pyogrio brings all of pandas where that is installed.
"""

from __future__ import annotations

import importlib

from geoseg.inference.options import PredictOptions
from geoseg.lazy import uncollected
from geoseg.models.card import Card

_OF_ENCODERS = ("geoseg.models.encoder",)
_OF_POLYGONS = ("pyogrio.raw", "scipy.sparse.csgraph")
_OF_CLUSTERS = ("geoseg.inference.cluster", "geoseg.inference.cluster_slots")
_OF_PREVIEWS = ("PIL.ImageDraw", "PIL.ImageFont", "PIL.PngImagePlugin")


def import_ahead(card: Card, options: PredictOptions) -> None:
    """Import what the model and the files of a run in this process need.

    Args:
        card: of the model.
        options: of the run.
    """
    here = not (options.dry_run or options.workers or options.scheduler)
    names = list(_OF_ENCODERS) if card.spec.encoder is not None else []
    names += _of_files(options) if here else []
    names += _OF_CLUSTERS if options.workers and not options.dry_run else []
    with uncollected():
        for name in names:
            importlib.import_module(name)


def worker_modules(card: Card, options: PredictOptions) -> list[str]:
    """The modules that a worker process needs for the tasks of a run.

    Args:
        card: of the model.
        options: of the run.
    """
    encoders = _OF_ENCODERS if card.spec.encoder is not None else ()
    return ["geoseg.inference.worker", "geoseg.inference.bundles", *encoders, *_of_files(options)]


def _of_files(options: PredictOptions) -> list[str]:
    # None: drawn unless there are many inputs, which nobody has counted yet.
    needed = {_OF_POLYGONS: options.vectors, _OF_PREVIEWS: options.preview is not False}
    return [name for names, wanted in needed.items() if wanted for name in names]
