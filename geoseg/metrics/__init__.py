"""Metrics of class rasters: arrays in, numbers out.

`ConfusionMatrix`, `BoundaryF1` and `ScaleIoU` are filled piece by piece with ``update``; the first
two, and the `InstanceIoU` that the third computes, are added with ``+``.
"""

from geoseg.metrics.boundary import BoundaryF1, erode
from geoseg.metrics.confusion import ConfusionMatrix
from geoseg.metrics.protocol import PROTOCOLS, Protocol, by_class, find_protocol, summarize
from geoseg.metrics.scale import SCALE_BINS, InstanceIoU, ScaleIoU, scale_iou

__all__ = [
    "PROTOCOLS",
    "SCALE_BINS",
    "BoundaryF1",
    "ConfusionMatrix",
    "InstanceIoU",
    "Protocol",
    "ScaleIoU",
    "by_class",
    "erode",
    "find_protocol",
    "scale_iou",
    "summarize",
]
