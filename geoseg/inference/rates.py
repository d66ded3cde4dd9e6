"""What windows were measured to take, kept in the user's cache folder for later short runs.

A run of seconds should not measure for seconds what an earlier one has measured on this machine.
"""

from __future__ import annotations

import json
import math
import os
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter

from geoseg.errors import OutputError, one_line_reason
from geoseg.files import write_text
from geoseg.inference.keys import key_of
from geoseg.inference.predictor import processor_of
from geoseg.inference.probe import Probe
from geoseg.tiling import TileGrid

CACHE_VARIABLE = "GEOSEG_CACHE"
"""Names the cache folder; empty: nothing is kept."""
MOST_SECONDS = 120.0
"""Of forwards, in a run that takes a kept rate; a longer one measures its own rasters."""
MOST_FORWARDS = 100
"""The same, however long they take: measuring runs two windows, and workers wait meanwhile."""


def cache_folder() -> Path | None:
    """Where a system keeps what may be deleted at any time; None: nothing is to be kept."""
    if CACHE_VARIABLE in os.environ:
        chosen = os.environ[CACHE_VARIABLE]
        return Path(chosen) if chosen else None
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "geoseg" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "geoseg"
    shared = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(shared) if os.path.isabs(shared) else Path.home() / ".cache") / "geoseg"


def facts_of_rate(
    settings: Mapping[str, Any], grid: TileGrid, batch: int | str, device: str
) -> dict[str, Any]:
    """All that the time of a window depends on.

    Args:
        settings: of the run, from `pixel_settings`.
        grid: lattice of the raster.
        batch: as the user asks for it.
        device: of the network.
    """
    return {
        "settings": settings,
        "window": grid.window,
        "cells": grid.cells,
        "batch": batch,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "machine": platform.node(),
        "processor": processor_of(torch.device(device)),
    }


class KeptRate:
    """The rate of one network on one machine, by its file.

    Args:
        facts: all that a window's time depends on.
        note: called with a line about a file that is damaged or cannot be written.
    """

    def __init__(self, facts: Mapping[str, Any], note: Callable[[str], None]) -> None:
        folder = cache_folder()
        self._path = folder / "rates" / f"{key_of(facts)}.json" if folder else None
        self._note = note

    def read(self, forwards: int) -> Probe | None:
        """The rate that is kept, if it is and a run of so many forwards is short."""
        if self._path is None or not self._path.exists():
            return None
        try:
            probe = _probe_of(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            reason = one_line_reason(error)
            self._note(f"{self._path}: the rate kept there is damaged ({reason}); measuring anew")
            return None
        short = forwards <= MOST_FORWARDS or probe.seconds * forwards <= MOST_SECONDS
        return probe if short else None

    def write(self, probe: Probe) -> None:
        """Keep a rate that was measured now."""
        if self._path is None:
            return
        now = datetime.now().astimezone().isoformat(" ", "minutes")
        try:
            write_text(self._path, json.dumps(asdict(replace(probe, kept_since=now))))
        except OutputError as error:
            cause = error.__cause__
            reason = cause.strerror if isinstance(cause, OSError) else one_line_reason(error)
            self._note(
                f"the rate is not kept for later runs: {self._path} cannot be written ({reason}); "
                f"set {CACHE_VARIABLE} to another folder, or to nothing"
            )


def _probe_of(text: str) -> Probe:
    """A probe from JSON.

    Raises:
        ValueError: it is none; of pydantic's errors too.
    """
    probe = TypeAdapter(Probe).validate_json(text, strict=True)
    if not 0.0 < probe.seconds < math.inf:
        raise ValueError(f"{probe.seconds} seconds for a window")
    return probe
