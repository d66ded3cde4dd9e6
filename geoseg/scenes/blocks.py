"""What stands on each block: one kind out of the town's mix."""

from __future__ import annotations

from functools import lru_cache

from geoseg.scenes.chance import stream
from geoseg.scenes.detached import build_detached
from geoseg.scenes.estates import build_commerce, build_slabs
from geoseg.scenes.greens import build_field, build_park
from geoseg.scenes.plot import Plot
from geoseg.scenes.rows import build_perimeter, build_terraced
from geoseg.scenes.things import Content
from geoseg.scenes.town import KINDS, Town

_BUILDERS = {
    "detached": build_detached,
    "terraced": build_terraced,
    "perimeter": build_perimeter,
    "slabs": build_slabs,
    "commerce": build_commerce,
    "park": build_park,
    "field": build_field,
}


@lru_cache(maxsize=384)
def block_content(town: Town, i: int, j: int) -> Content:
    """Everything on block (i, j) of a town."""
    rng = stream(town.seed, 7, i, j)
    plot = Plot(town, i, j, rng)
    _BUILDERS[KINDS[int(rng.choice(len(KINDS), p=town.mix))]](plot)
    return plot.content
