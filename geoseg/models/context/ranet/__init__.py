"""RANet: its head, and what only this head uses."""

from geoseg.models.context.ranet.head import RANetHead

__all__ = ["RANetHead"]
