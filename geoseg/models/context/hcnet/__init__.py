"""HCNet: its head, and attention within segments."""
