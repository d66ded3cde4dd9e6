"""The context systems: one file and one line of `HEADS` each."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING

from geoseg.lazy import lazy_names

if TYPE_CHECKING:
    from geoseg.models.context.base import ContextHead, Outputs


class Heads(MutableMapping[str, "type[ContextHead]"]):
    """Heads by their system's name; a head's file, and with it torch, is imported when asked for.

    Args:
        homes: of each system, ``module:class``.
    """

    def __init__(self, homes: Mapping[str, str]) -> None:
        self._heads: dict[str, str | type[ContextHead]] = dict(homes)

    def __getitem__(self, system: str) -> type[ContextHead]:
        """The head of a system; KeyError where there is none."""
        head = self._heads[system]
        if isinstance(head, str):
            module, _, name = head.partition(":")
            head = self[system] = getattr(importlib.import_module(module), name)
        return head

    def __setitem__(self, system: str, head: type[ContextHead]) -> None:
        self._heads[system] = head

    def __delitem__(self, system: str) -> None:
        del self._heads[system]

    def __contains__(self, system: object) -> bool:
        return system in self._heads

    def __iter__(self) -> Iterator[str]:
        return iter(self._heads)

    def __len__(self) -> int:
        return len(self._heads)


HEADS = Heads(
    {
        "hcnet": "geoseg.models.context.hcnet.head:HCNetHead",
        "ocrnet": "geoseg.models.context.ocrnet:OCRNetHead",
        "apcnet": "geoseg.models.context.apcnet:APCNetHead",
        "isnet": "geoseg.models.context.isnet.head:ISNetHead",
        "ranet": "geoseg.models.context.ranet.head:RANetHead",
        "fcn": "geoseg.models.context.fcn:FCNHead",
        "ppm": "geoseg.models.context.ppm:PPMHead",
        "aspp": "geoseg.models.context.aspp:ASPPHead",
        "self_attention": "geoseg.models.context.self_attention:SelfAttentionHead",
        "double_attention": "geoseg.models.context.double_attention:DoubleAttentionHead",
        "ccnet": "geoseg.models.context.ccnet:CCNetHead",
        "danet": "geoseg.models.context.danet:DANetHead",
        "ann": "geoseg.models.context.ann:ANNHead",
        "dnl": "geoseg.models.context.dnl:DNLHead",
        "acf": "geoseg.models.context.acf:ACFHead",
        "psanet": "geoseg.models.context.psanet:PSANetHead",
        "pixel": "geoseg.models.context.pixel:PixelHead",
    }
)
"""Every head by its system's name."""

__all__ = ["HEADS", "ContextHead", "Outputs"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "ContextHead": "geoseg.models.context.base:ContextHead",
        "Outputs": "geoseg.models.context.base:Outputs",
    },
)
