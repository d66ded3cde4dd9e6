"""Class rasters scored against references.

In reading order: `pairs` opens what belongs together and checks that it fits, `scoring` counts
each pair strip by strip (with `instances` where there are objects), `results` adds up and warns
about what is empty, `largest_errors` draws where most pixels are wrong, `outputs` and
`html_report` write files.
`comparison` writes those of several training runs side by side.
"""
