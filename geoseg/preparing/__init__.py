"""From a data set as it is handed out to rasters that train directly: layouts, splits, cutting, labels, a manifest."""
