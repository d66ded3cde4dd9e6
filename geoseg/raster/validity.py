"""What makes a pixel of a source invalid: nodata values, an alpha band, masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rasterio.enums import MaskFlags


@dataclass(frozen=True, slots=True)
class Validity:
    """What makes a pixel invalid, apart from values that are not finite."""

    nodata: tuple[float | None, ...]
    """One value a used band. A pixel is nodata where all used bands have theirs."""
    alpha: int | None = None
    """The file band that is 0 where pixels are invalid."""
    mask_bands: tuple[int, ...] = ()
    """The file bands whose GDAL masks (internal, ``.msk``, of a VRT) are read: one where all bands
    share a mask. A pixel is valid where any of them says so."""

    @property
    def nodata_values(self) -> tuple[float, ...] | None:
        """The nodata values; None where a band has none, which keeps every pixel valid."""
        values = tuple(value for value in self.nodata if value is not None)
        return values if len(values) == len(self.nodata) else None


def find_validity(
    file: Any, used: Sequence[int], alphas: Sequence[int], nodata: float | None
) -> Validity:
    """What makes a pixel of a rasterio dataset invalid, by GDAL's order of precedence.

    A mask of the whole dataset or of a band comes before the nodata values that the file declares.

    Args:
        file: the open dataset.
        used: the 1-based bands that are read.
        alphas: the 1-based bands that are marked as alpha.
        nodata: a value in place of the declared ones, or None; it counts beside any mask.
    """
    flags = [file.mask_flag_enums[band - 1] for band in used]
    masks: tuple[int, ...] = ()
    if any(MaskFlags.per_dataset in flag and MaskFlags.alpha not in flag for flag in flags):
        masks = (used[0],)
    elif any(not flag for flag in flags):  # no flag at all: each band has a mask of its own
        masks = tuple(used)
    values: list[float | None] = []
    for band, flag in zip(used, flags, strict=True):
        declared = MaskFlags.nodata in flag and MaskFlags.per_dataset not in flag
        values.append(file.nodatavals[band - 1] if declared else None)
    if nodata is not None:
        values = [float(nodata)] * len(used)
    unread = [band for band in alphas if band not in used]
    return Validity(tuple(values), unread[0] if unread else None, masks)
