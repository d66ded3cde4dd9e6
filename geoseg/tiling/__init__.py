"""Windows, the lattice they form, blocks cut from it, and the weights that blend them.

Integers and arrays only: nothing here knows files or coordinate systems.
"""

from geoseg.tiling.blend import edge_weights, weight_totals
from geoseg.tiling.cells import Cells
from geoseg.tiling.connect import connect
from geoseg.tiling.grid import Block, TileGrid
from geoseg.tiling.window import Window

__all__ = ["Block", "Cells", "TileGrid", "Window", "connect", "edge_weights", "weight_totals"]
