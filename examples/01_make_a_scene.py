"""Make a labelled orthophoto of a generated town, and look at it.

python examples/01_make_a_scene.py [FOLDER] [SIZE]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import geoseg
from geoseg import scenes


def main(folder: Path, size: int) -> Path:
    """Write two adjoining scenes with labels, and a picture of a piece of the first one."""
    for scene in scenes.write_folder(folder, scenes=2, size=size, seed=15):
        print(f"{scene.image} and its labels {scene.labels}")

    # Any piece of the same world is available as arrays, without files.
    image, labels = scenes.render(
        15, row=size // 4, col=size // 4, height=size // 2, width=size // 2
    )
    near_infrared, red, green, blue = image
    views = {
        "red, green, blue": np.dstack([red, green, blue]),
        "near-infrared, red, green": np.dstack([near_infrared, red, green]),
        "labels": np.moveaxis(scenes.CLASSES.colors_from_ids(labels), 0, -1),
    }
    figure, axes = plt.subplots(1, len(views), figsize=(15, 5), layout="constrained")
    for axis, (title, picture) in zip(axes, views.items(), strict=True):
        axis.imshow(picture)
        axis.set_title(title)
        axis.set_axis_off()
    path = folder / "look.png"
    figure.savefig(path, dpi=120)
    plt.close(figure)
    for name, share in zip(
        scenes.CLASSES.names, np.bincount(labels.ravel(), minlength=5) / labels.size, strict=True
    ):
        print(f"{name:<20} {share:6.1%}")
    print(f"look at {path}, or open the folder in QGIS")
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default="scenes", help="(%(default)s)")
    parser.add_argument(
        "size", type=int, nargs="?", default=1024, help="side of a scene, pixels (%(default)s)"
    )
    chosen = parser.parse_args()
    try:
        main(chosen.folder, chosen.size)
    except geoseg.GeosegError as error:
        parser.error(str(error))
