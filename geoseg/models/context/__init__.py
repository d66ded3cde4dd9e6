"""The context systems: one file and one line of `HEADS` each."""

from geoseg.models.context.base import ContextHead, Outputs
from geoseg.models.context.fcn import FCNHead
from geoseg.models.context.hcnet import HCNetHead
from geoseg.models.context.ocrnet import OCRNetHead
from geoseg.models.context.pixel import PixelHead

HEADS: dict[str, type[ContextHead]] = {
    head.name: head
    for head in (
        HCNetHead,
        OCRNetHead,
        FCNHead,
        PixelHead,
    )
}
"""Every head by its system's name."""

__all__ = ["HEADS", "ContextHead", "FCNHead", "HCNetHead", "OCRNetHead", "Outputs", "PixelHead"]
