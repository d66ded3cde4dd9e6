"""From labelled rasters to a model file: patches, augmentation, losses, one loop."""
