"""Images with their labels: what `prepare`, `train` and `evaluate` share."""
