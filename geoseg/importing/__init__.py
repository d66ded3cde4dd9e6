"""Weights that other programs have trained, as geoseg's model files and encoder files."""
