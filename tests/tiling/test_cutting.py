from __future__ import annotations

from geoseg.tiling.cutting import Lattice, best_cut


def test_of_cuts_that_cost_nothing_those_into_the_widest_blocks_make_the_fewest_parts() -> None:
    lattice = Lattice(1000, 1000, 0)  # no window is run twice
    assert best_cut(lattice, None, 1, 100) == (1000, 10)
    assert best_cut(lattice, None, 1, 2000) == (500, 1)
