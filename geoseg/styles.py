"""Styles that map programs find beside a file: QGIS takes ``<stem>.qml``, GeoServer ``<stem>.sld``.

A style goes with its file: written, replaced and removed with it. One that somebody has saved from
QGIS has not geoseg's mark; it is theirs, and neither replaced nor removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

from geoseg.classes import Color
from geoseg.places import AnyPath, asked

SUFFIXES = (".qml", ".sld")
_MARK = "<!-- made by geoseg -->"
"""A comment: QGIS does not keep it when it saves a style."""
_HEAD = 4096
"""Bytes within which the mark stands."""

RAMP = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")
"""Colours of 0, 1/4, ... 1: viridis, even steps of lightness for every eye."""


def own_styles(path: AnyPath) -> list[AnyPath]:
    """The styles of geoseg's that exist beside a file."""
    places = styles_of(path)
    return [place for place, own in zip(places, _are_own(places), strict=True) if own]


def write_style(path: Path, suffix: str, text: str) -> None:
    """Write a style beside a file.

    Args:
        path: of the file.
        suffix: ``.qml`` or ``.sld``.
        text: XML without a head.
    """
    document = '<?xml version="1.0" encoding="UTF-8"?>\n' + _MARK + "\n" + text
    path.with_suffix(suffix).write_text(document, encoding="utf-8")


def leave_foreign(built: Path, path: AnyPath) -> None:
    """Give up the styles that were built where somebody's own are in their place.

    Args:
        built: a file in a temporary folder.
        path: where it goes.
    """
    for made, own in zip(styles_of(built), _are_own(styles_of(path)), strict=True):
        if own is False:
            made.unlink(missing_ok=True)


def qgis_style(lines: Iterable[str], attributes: Mapping[str, str]) -> str:
    """A QGIS style of some elements.

    Args:
        lines: the elements.
        attributes: of the element around them.
    """
    given = " ".join(f"{name}={quoteattr(text)}" for name, text in attributes.items())
    return "\n".join([f'<qgis version="3.22.0" {given}>', *lines, "</qgis>", ""])


def hex_of(color: Color) -> str:
    """A colour as ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def styles_of(path: AnyPath) -> list[AnyPath]:
    """Where the styles of a file are, whoever made them."""
    return [path.with_suffix(suffix) for suffix in SUFFIXES]


def _are_own(styles: Sequence[AnyPath]) -> list[bool | None]:
    """Of each style, whether it is geoseg's; None where there is none."""
    return asked(_is_own, styles, styles[0])


def _is_own(style: AnyPath) -> bool | None:
    try:
        return _MARK.encode() in style.read_bytes()[:_HEAD]
    except FileNotFoundError:
        return None
    except OSError:
        return False
