"""RANet: its head, and what this head alone uses."""
