"""Class rasters scored against references.

In reading order: `pairs` opens what belongs together and checks that it fits, `scoring` counts
each pair strip by strip (with `instances` where there are objects), `results` adds up and warns
about what is empty, `largest_errors` draws where most pixels are wrong (with `imagery`),
`outputs` and `html_report` write files. `error_kinds`, `error_raster` and `error_files` make
rasters and regions of what is wrong.
`comparison` writes those of several training runs side by side.
"""
