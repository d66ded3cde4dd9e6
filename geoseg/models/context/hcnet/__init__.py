"""HCNet: its head, and attention within segments."""

from geoseg.models.context.hcnet.head import HCNetHead

__all__ = ["HCNetHead"]
