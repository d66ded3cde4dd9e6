"""Believable, fully labelled orthophotos of towns that do not exist, for demo, tests and benchmarks."""

from geoseg.scenes.world import BANDS, CLASSES, GROUND_SAMPLING, render
from geoseg.scenes.write import Scene, write_folder, write_scene

__all__ = ["BANDS", "CLASSES", "GROUND_SAMPLING", "Scene", "render", "write_folder", "write_scene"]
