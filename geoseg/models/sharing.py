"""What of a network can be made once a pixel, as its spec tells, without building it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from geoseg.errors import ModelError
from geoseg.models.spec import EXTERNAL, ModelSpec
from geoseg.tiling import Cells

CELL_MULTIPLE = 32
"""Pixels. The encoders' strides divide it, so in each cell the features lie as in the whole."""
_FAMILIES: tuple[tuple[str, str, Cells], ...] = (
    ("ResNet", r"(tu-)?(wide_)?resne(x)?t\d+(_2|_32x\d+d)?|tu-test_resnet", Cells(1024, 64)),
    ("MobileNetV2", r"mobilenet_v2|tu-mobilenetv2_\d+", Cells(512, 32)),
    ("EfficientNet-Lite", r"tu-(tf_)?efficientnet_lite\d", Cells(512, 64)),
    ("HRNet", r"tu-hrnet_w\d+\w*", Cells(512, 64)),
)
"""Encoders that are local, as regular expressions of their names, and the sizes for them: see
``docs/performance.md``. Those with squeeze-excitation or attention look at the whole image."""
_ALL_LOCAL = ("pixel", "fcn", "smp.unet", "smp.unetplusplus", "smp.linknet")
"""Systems in which nothing brings positions together. All heads of geoseg's own can be split."""
_LOCAL_HALO = 96
"""Of these systems: nothing is blended, so no neighbour makes up for what a cell does not see."""
_LOCAL_LEAST = 768
"""The least side of their cells: there a wide halo costs less."""
_GLOBAL_OPTIONS = ("decoder_attention_type", "decoder_use_norm", "decoder_use_batchnorm")
"""Options of these that may."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """How the windows of a raster share what is made of a pixel."""

    cells: Cells
    """In what the raster is encoded."""
    multiple: int
    """Pixels from one position of the features to the next, or a multiple of them."""
    contextual: bool
    """Whether windows follow the cells; if not, the cells are all that there is to run."""

    @property
    def phase(self) -> int:
        """Cells start at multiples of it, so that features lie in them as in the whole image."""
        return 1 if self.cells.halo == 0 else CELL_MULTIPLE


def sharing(spec: ModelSpec, cell: int | None = None) -> Sharing:
    """What can be shared in a network, and in what cells.

    Args:
        spec: of a network that exists, so that it has the number of its stride.
        cell: side of the cells; None: the encoder family's.

    Raises:
        ModelError: nothing can; the message says why.
    """
    if spec.system == EXTERNAL:
        raise ModelError("a network of another program is not known in parts; use encode window")
    stride = spec.output_stride or 1
    local = spec.system in _ALL_LOCAL
    if spec.system.startswith("smp."):
        own = [
            name
            for name in _GLOBAL_OPTIONS
            if spec.options.get(name) not in (None, True, False, "batchnorm")
        ]
        if own or not local:
            raise ModelError(
                f"{spec.system}{f' with {own[0]}' if own else ''} looks at its whole window; "
                "use encode window"
            )
    if spec.options.get("resizing", "own") in ("corners", "openseg"):
        raise ModelError(
            f"resizing {spec.options['resizing']} depends on the window's size; use encode window"
        )
    cells = Cells(512, 0) if spec.encoder is None else _cells_of(spec.encoder)
    if local and spec.encoder is not None:
        cells = Cells(max(cells.size, _LOCAL_LEAST), _LOCAL_HALO)
    return Sharing(Cells(cell or cells.size, cells.halo), stride, not local)


def _cells_of(encoder: str) -> Cells:
    """The cells of an encoder.

    Raises:
        ModelError: it is of no family whose features were compared with those of whole images.
    """
    for _, names, cells in _FAMILIES:
        if re.fullmatch(names, encoder):
            return cells
    raise ModelError(
        f"encoder {encoder} may look at its whole window; use encode window, or an encoder that "
        f"does not: {', '.join(family for family, _, _ in _FAMILIES)}"
    )
