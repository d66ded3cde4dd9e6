"""Predict a scene with the bundled model, look at the files, and score them against the labels.

python examples/02_predict_a_scene.py [FOLDER] [SIZE]

It reads the polygons with geopandas: pip install 'geoseg[notebook]'.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import geopandas

import geoseg
from geoseg import scenes

MODEL = Path(geoseg.__file__).parent / "data" / "demo.safetensors"
"""The model that comes with geoseg."""


def main(folder: Path, size: int) -> Path:
    """Write a scene of an unseen town with its labels, predict it, and compare."""
    scene = scenes.write_scene(
        folder / "town.tif", size, seed=900, labels=folder / "labels" / "town.tif"
    )
    # The scene's bands are near infrared, red, green and blue; the model takes the first three.
    report = geoseg.predict(scene.image, MODEL, out=folder / "predicted", bands=[1, 2, 3])
    print(report)
    for name, pixels in report.data["inputs"][0]["pixels"].items():
        print(f"{name:<20} {pixels:>10,} pixels")

    polygons = geopandas.read_file(folder / "predicted" / "town_polygons.gpkg")
    largest = polygons.sort_values("area_m2", ascending=False).head(3)
    print(largest[["class", "area_m2", "confidence"]].to_string(index=False))

    scores = geoseg.evaluate(
        folder / "predicted", folder / "labels", classes=scenes.CLASSES, out=folder / "scores"
    )
    print(scores)
    return folder / "scores" / "report.html"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default="town", help="(%(default)s)")
    parser.add_argument(
        "size", type=int, nargs="?", default=1024, help="side of a scene, pixels (%(default)s)"
    )
    chosen = parser.parse_args()
    try:
        print("open", main(chosen.folder, chosen.size))
    except geoseg.GeosegError as error:
        parser.error(str(error))
