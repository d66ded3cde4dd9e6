"""Images with their labels: pairing, reading, splitting, preparing; what `prepare`, `train` and `evaluate` share."""
