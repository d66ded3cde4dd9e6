"""RANet: its head, and what this head alone uses."""

from geoseg.models.context.ranet.head import RANetHead

__all__ = ["RANetHead"]
