"""Class rasters scored against references, and the files of an evaluation."""
