"""Realistic, fully labelled orthophotos of generated towns, for demo, tests and benchmarks."""

from geoseg.scenes.scene import (
    BANDS,
    CLASSES,
    GROUND_SAMPLING,
    Scene,
    render,
    write_folder,
    write_scene,
)

__all__ = ["BANDS", "CLASSES", "GROUND_SAMPLING", "Scene", "render", "write_folder", "write_scene"]
