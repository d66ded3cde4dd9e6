"""From a model and a raster to finished files: predictor, stitching, engine, parts and outputs."""

from geoseg.inference.predictor import ForwardOptions, Predictor
from geoseg.inference.stitching import Band
from geoseg.inference.stream import predict_bands

__all__ = ["Band", "ForwardOptions", "Predictor", "predict_bands"]
