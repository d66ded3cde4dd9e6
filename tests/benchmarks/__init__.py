"""Measured comparisons: ratios within one run, printed, never asserted in the suite."""
