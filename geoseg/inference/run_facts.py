"""What the story of a raster needs to know of its run: small enough to travel with tasks."""

from __future__ import annotations

from dataclasses import dataclass

from geoseg.inference.choice import Choice
from geoseg.inference.options import PredictOptions
from geoseg.inference.zones import Zones


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Of one run; see `PredictRun`, whose part they are."""

    options: PredictOptions
    precision: str
    choice: Choice | None = None
    """What is in memory at once, once it is planned."""
    zones: Zones | None = None
    """In which classes are measured, likewise."""
    processes: int = 0
    """Worker processes that the tasks travel to; 0: none, they run in this process."""
