"""From a model and a raster to finished files: predictor, stitching, engine, parts and outputs."""

from geoseg.inference.predictor import Options, Predictor
from geoseg.inference.stitching import Band
from geoseg.inference.stream import predict_bands

__all__ = ["Band", "Options", "Predictor", "predict_bands"]
