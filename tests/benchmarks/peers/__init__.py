"""geoseg beside other tools that predict large rasters."""
