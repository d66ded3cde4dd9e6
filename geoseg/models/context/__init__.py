"""The context systems: one file and one line of `HEADS` each."""

from geoseg.models.context.acf import ACFHead
from geoseg.models.context.ann import ANNHead
from geoseg.models.context.apcnet import APCNetHead
from geoseg.models.context.aspp import ASPPHead
from geoseg.models.context.base import ContextHead, Outputs
from geoseg.models.context.ccnet import CCNetHead
from geoseg.models.context.danet import DANetHead
from geoseg.models.context.dnl import DNLHead
from geoseg.models.context.double_attention import DoubleAttentionHead
from geoseg.models.context.fcn import FCNHead
from geoseg.models.context.hcnet.head import HCNetHead
from geoseg.models.context.isnet.head import ISNetHead
from geoseg.models.context.ocrnet import OCRNetHead
from geoseg.models.context.pixel import PixelHead
from geoseg.models.context.ppm import PPMHead
from geoseg.models.context.psanet import PSANetHead
from geoseg.models.context.ranet.head import RANetHead
from geoseg.models.context.self_attention import SelfAttentionHead

HEADS: dict[str, type[ContextHead]] = {
    head.name: head
    for head in (
        HCNetHead,
        OCRNetHead,
        APCNetHead,
        ISNetHead,
        RANetHead,
        FCNHead,
        PPMHead,
        ASPPHead,
        SelfAttentionHead,
        DoubleAttentionHead,
        CCNetHead,
        DANetHead,
        ANNHead,
        DNLHead,
        ACFHead,
        PSANetHead,
        PixelHead,
    )
}
"""Every head by its system's name."""

__all__ = [
    "HEADS",
    "ACFHead",
    "ANNHead",
    "APCNetHead",
    "ASPPHead",
    "CCNetHead",
    "ContextHead",
    "DANetHead",
    "DNLHead",
    "DoubleAttentionHead",
    "FCNHead",
    "HCNetHead",
    "ISNetHead",
    "OCRNetHead",
    "Outputs",
    "PPMHead",
    "PSANetHead",
    "PixelHead",
    "RANetHead",
    "SelfAttentionHead",
]
