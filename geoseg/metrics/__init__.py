"""Figures of merit: arrays in, numbers out."""

from geoseg.metrics.boundary import BoundaryF1, erode
from geoseg.metrics.confusion import ConfusionMatrix
from geoseg.metrics.protocol import PROTOCOLS, Protocol, figures, find_protocol
from geoseg.metrics.scale import SCALE_BINS, ObjectCounter, ScaleIoU, scale_iou

__all__ = [
    "PROTOCOLS",
    "SCALE_BINS",
    "BoundaryF1",
    "ConfusionMatrix",
    "ObjectCounter",
    "Protocol",
    "ScaleIoU",
    "erode",
    "figures",
    "find_protocol",
    "scale_iou",
]
