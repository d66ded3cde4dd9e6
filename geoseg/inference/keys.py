"""Keys: digits that change with anything that determines what they identify.

    pixel_settings   model, forward options, nodata     of all rasters of a run
      raster_facts   + source, bands, CRS, lattice      of one raster
        output_key   + kind, least confidence           stored in each finished file
        part_key     + what parts hold, torch threads   names the folder of unfinished parts

An output is kept when it has the key that the run would give it; parts are continued when the run
looks for them under the same name. A fact that is missing here would pass old pixels off as new.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from geoseg.raster import Source
from geoseg.tiling import TileGrid, Window

if TYPE_CHECKING:
    from geoseg.inference.forward_options import ForwardOptions
    from geoseg.models import Model

PIXELS_VERSION = 8
"""Raised when a change of geoseg changes pixels, so that old files are not taken for new ones."""


def key_of(facts: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that change when any of these facts does."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def weights_digest(model: Model) -> str:
    """Hexadecimal digest of a model's card and weights as they are now in memory."""
    import torch  # a model is there, so it is imported already

    from geoseg.models.external import External

    digest = hashlib.sha256(model.card.to_json().encode())
    if isinstance(model.net, External):
        digest.update(model.net.identity.encode())
        return digest.hexdigest()
    for name, tensor in sorted(model.net.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def pixel_settings(
    model: Model, forward: ForwardOptions, nodata: Sequence[float] | None
) -> dict[str, Any]:
    """What decides the pixels of all rasters of a run, torch's threads aside."""
    return {
        "version": PIXELS_VERSION,
        # Weights may have changed since the file was read, and the file too.
        "model": weights_digest(model),
        "nodata": nodata,
        "scales": forward.scales,
        "flip": forward.flip,
        "value_range": forward.source_range,
        "precision": forward.precision,
        "backend": forward.backend,
        "device": forward.device.partition(":")[0],  # another GPU of the machine gives the same
    }


def raster_facts(
    settings: Mapping[str, Any], source: Source, grid: TileGrid, fingerprint: str
) -> dict[str, Any]:
    """What decides the pixels of one raster, torch's threads aside."""
    area = {} if source.area is None else {"area": source.area.digest}
    return {
        **settings,
        **area,
        "source": fingerprint,
        "bands": source.bands,
        "crs": str(source.crs),
        "window": grid.window,
        "overlap": grid.overlap,
        "stitch": grid.stitch,
        # As rasters were before windows could share: their files stay current.
        **({} if grid.multiple == 1 else {"multiple": grid.multiple}),
        **({} if grid.cells is None else {"cells": [grid.cells.size, grid.cells.halo]}),
    }


def output_key(
    facts: Mapping[str, Any],
    kind: str,
    min_confidence: float,
    side: int = 0,
    cleaning: Mapping[str, Any] | None = None,
    shown: Window | None = None,
    attributes: Sequence[str] = (),
) -> str:
    """The key of one output of a raster.

    Args:
        facts: of the raster.
        kind: of the output.
        min_confidence: pixels below it are uncertain.
        side: of the squares that it is cut into, if any.
        cleaning: how it is cleaned, if it is.
        shown: what of the raster it shows; None: all.
        attributes: of polygons, beside those that all have.
    """
    facts = {**facts, "attributes": sorted(attributes)} if attributes else facts
    facts = {**facts, "side": side} if side else facts
    facts = {**facts, "cleaning": cleaning} if cleaning else facts
    facts = facts if shown is None else {**facts, "shown": astuple(shown)}
    if kind in ("confidence", "probabilities"):
        return key_of({**facts, "output": kind})  # the same whatever the least confidence is
    return key_of({**facts, "min_confidence": min_confidence, "output": kind})


def part_key(
    facts: Mapping[str, Any],
    *,
    min_confidence: float,
    confidence: bool,
    probabilities: bool,
    threads: int,
) -> str:
    """The key of a raster's parts; the number of torch threads decides the last bits of a sum."""
    return key_of(
        {
            **facts,
            "confidence": confidence,
            "probabilities": probabilities,
            "min_confidence": min_confidence,
            "threads": threads,
        }
    )
