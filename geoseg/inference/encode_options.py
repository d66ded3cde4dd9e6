"""Whether windows share what the network makes of a pixel; decided without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from geoseg.errors import ConfigError, ModelError
from geoseg.models import Card
from geoseg.models.sharing import CELL_MULTIPLE, Sharing, sharing
from geoseg.tiling import TileGrid
from geoseg.tiling.grid import Stitch

Encode = Literal["auto", "shared", "window"]


@dataclass(frozen=True, slots=True)
class EncodeOptions:
    """How a raster is encoded; part of what decides the pixels."""

    encode: Encode = "auto"
    """``shared``: each pixel once, in cells; ``window``: each window by itself; ``auto``: shared
    where the network and other options allow it, as it is as good, and cheaper."""
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

    def sharing(
        self,
        card: Card,
        *,
        window: int | None = None,
        overlap: int | None = None,
        augmented: bool = False,
        backend: str = "torch",
    ) -> Sharing | None:
        """What the windows of a raster share; None: nothing.

        Args:
            card: of the model.
            window: side of the windows where the user gives it; None: the card's.
            overlap: pixels that windows share, likewise.
            augmented: windows are also run at other scales or mirrored, which cells are not.
            backend: what runs the network.

        Raises:
            ConfigError: other options leave nothing to share, which was asked for.
            ModelError: the network does.
        """
        if self.encode == "window":
            return None
        try:
            shared = sharing(card.spec, self.cell)
            _refuse_options(card, shared, window, overlap, augmented, backend)
        except (ConfigError, ModelError):
            if self.encode == "auto":
                return None  # nobody asked for it: what can be shared is, and the report says so
            raise
        if self.encode == "shared" or not shared.contextual:
            return shared
        # Asked for, such windows are refused where the lattice is made, with those that fit.
        sides = (
            card.window if window is None else window,
            card.overlap if overlap is None else overlap,
        )
        return None if any(side % shared.multiple for side in sides) else shared


def _refuse_options(
    card: Card,
    shared: Sharing,
    window: int | None,
    overlap: int | None,
    augmented: bool,
    backend: str,
) -> None:
    """Refuse options that leave nothing to share.

    Raises:
        ConfigError: with the first of them.
    """
    if augmented:
        raise ConfigError(
            "encode shared with scales or flip: each window is then run several times; "
            "use encode window, or leave them out"
        )
    if shared.contextual and backend != "torch":
        raise ConfigError(
            f"encode shared with backend {backend}: only torch runs a network in parts; "
            "use backend torch, or encode window"
        )
    given = {"window": window, "overlap": overlap}
    for name, value in given.items():
        if not shared.contextual and value is not None:
            raise ConfigError(
                f"{name} {value}: {card.spec.system} looks at no window, it runs in cells; "
                "give cell in its place, or encode window"
            )


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
