"""ISNet: its head, and attention to classes."""
