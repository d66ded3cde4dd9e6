"""From a model and a raster to finished files: predictor, stitching, engine, parts and outputs."""
