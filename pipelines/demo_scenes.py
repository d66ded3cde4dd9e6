"""The labelled towns that the demo model is trained, validated and tested on.

python pipelines/demo_scenes.py scenes
GEOSEG_DEMO=scenes geoseg train configs/demo.yaml
"""

from __future__ import annotations

import argparse
from pathlib import Path

import geoseg
from geoseg import scenes

PARTS = {"train": 1, "val": 101, "test": 2001}
"""The first seed of each part; `geoseg demo` shows a town of a far higher one."""


def write_towns(folder: Path, counts: dict[str, int], size: int) -> list[scenes.Scene]:
    """Write one scene per town into ``FOLDER/PART/images`` and ``FOLDER/PART/labels``.

    Args:
        folder: created; scenes that exist already are kept.
        counts: towns of each part of `PARTS`.
        size: side of a scene, pixels.
    """
    written = []
    for part, count in counts.items():
        for seed in range(PARTS[part], PARTS[part] + count):
            # The place does not matter; these are within 3,000 pixels of the origin of the town.
            origin = (517 * seed % 3000, 911 * seed % 3000)
            name = f"town_{seed}.tif"
            image, labels = (folder / part / kind / name for kind in ("images", "labels"))
            written.append(scenes.write_scene(image, size, seed, labels=labels, origin=origin))
    return written


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    for name, count in (("train", 96), ("val", 16), ("test", 4)):
        parser.add_argument(
            f"--{name}", type=int, default=count, help=f"towns to {name} (%(default)s)"
        )
    parser.add_argument(
        "--size", type=int, default=512, help="side of a scene, pixels (%(default)s)"
    )
    chosen = parser.parse_args()
    counts = {part: getattr(chosen, part) for part in PARTS}
    try:
        towns = write_towns(chosen.folder, counts, chosen.size)
    except geoseg.GeosegError as error:
        parser.error(str(error))
    print(f"{len(towns)} towns in {chosen.folder}")
