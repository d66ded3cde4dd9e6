"""The labelled scenes that the demo model learns from: many towns to train on, others to judge it by.

python pipelines/demo_scenes.py /tmp/scenes
GEOSEG_DEMO=/tmp/scenes geoseg train configs/demo.yaml
"""

from __future__ import annotations

import argparse
from pathlib import Path

from geoseg import scenes


def write_scenes(folder: Path, *, train: int = 40, val: int = 4, size: int = 1024, first_seed: int = 1) -> None:
    """Write ``train`` and ``val`` scenes, one town each, into ``FOLDER/{train,val}/{images,labels}``.

    Args:
        folder: is made; scenes that stand there already are kept.
        train: towns to learn from, seeds from `first_seed` on.
        val: towns to judge by, the seeds after these.
        size: side of a scene, pixels.
        first_seed: the seed of the first town; `geoseg demo` shows one of a far higher seed.
    """
    for index in range(train + val):
        part = folder / ("train" if index < train else "val")
        name = f"town_{first_seed + index}.tif"
        scenes.write_scene(part / "images" / name, size, first_seed + index, labels=part / "labels" / name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=40, help="towns to learn from (%(default)s)")
    parser.add_argument("--val", type=int, default=4, help="towns to judge by (%(default)s)")
    parser.add_argument("--size", type=int, default=1024, help="side of a scene, pixels (%(default)s)")
    arguments = parser.parse_args()
    write_scenes(arguments.folder, train=arguments.train, val=arguments.val, size=arguments.size)
    print(f"{arguments.train} + {arguments.val} towns in {arguments.folder}")
