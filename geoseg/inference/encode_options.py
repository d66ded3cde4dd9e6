"""Whether windows share what the network makes of a pixel; decided without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from geoseg.errors import ConfigError
from geoseg.models import ModelSpec
from geoseg.models.sharing import CELL_MULTIPLE, Sharing, exact_sharing, sharing
from geoseg.tiling import TileGrid
from geoseg.tiling.grid import Stitch

Encode = Literal["auto", "shared", "window"]


@dataclass(frozen=True, slots=True)
class EncodeOptions:
    """How a raster is encoded; part of what decides the pixels."""

    encode: Encode = "auto"
    """``shared``: each pixel once, in cells; ``window``: each window by itself."""
    cell: int | None = None
    """Side of the cells, pixels; None: the encoder family's."""

    def __post_init__(self) -> None:
        if self.encode not in get_args(Encode):
            raise ConfigError(
                f"encode {self.encode!r} is unknown; use {', '.join(get_args(Encode))}"
            )
        if self.cell is not None and (self.cell < 1 or self.cell % CELL_MULTIPLE):
            raise ConfigError(
                f"cell {self.cell}: give a multiple of {CELL_MULTIPLE} pixels, such as 512"
            )
        if self.cell is not None and self.encode != "shared":
            raise ConfigError(f"cell {self.cell}: cells are those of encode shared; give it too")

    def sharing(self, spec: ModelSpec, *, augmented: bool, sized: bool = False) -> Sharing | None:
        """What the windows of a raster share; None: nothing.

        Args:
            spec: of the model.
            augmented: windows are also run at other scales or mirrored, which cells are not.
            sized: the window or its overlap is asked for.

        Raises:
            ConfigError: other options leave nothing to share.
            ModelError: the network does.
        """
        if self.encode == "auto" and not (augmented or sized):
            return exact_sharing(spec)
        if self.encode != "shared":
            return None
        if augmented:
            raise ConfigError(
                "encode shared with scales or flip: each window is then run several times; "
                "use encode window, or leave them out"
            )
        return sharing(spec, self.cell)


def make_grid(
    height: int, width: int, window: int, overlap: int, stitch: Stitch, shared: Sharing | None
) -> TileGrid:
    """The lattice of windows over a raster.

    Args:
        height: of the raster, pixels.
        width: likewise.
        window: side of the windows; where all is local, cells take their place.
        overlap: pixels that neighbouring windows share.
        stitch: ``blend`` or ``crop``.
        shared: what windows share; None: nothing.

    Raises:
        TilingError: window and overlap do not fit each other, or not the network's stride.
    """
    if shared is None:
        return TileGrid(height, width, window, overlap, stitch)
    cells = shared.cells
    if shared.contextual:
        return TileGrid(height, width, window, overlap, stitch, shared.multiple, cells)
    # Nothing brings positions together: each pixel is taken from the one cell that it lies in.
    side = cells.size + 2 * cells.halo
    return TileGrid(height, width, side, 2 * cells.halo, "crop", shared.phase)
