"""Figures of merit: arrays in, numbers out."""

from geoseg.metrics.confusion import ConfusionMatrix

__all__ = ["ConfusionMatrix"]
