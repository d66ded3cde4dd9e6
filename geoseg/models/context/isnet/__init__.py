"""ISNet: its head, and attention to class representations."""

from geoseg.models.context.isnet.head import ISNetHead

__all__ = ["ISNetHead"]
