"""Which band of a file is which: names compared, and ``--bands`` suggested."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SYNONYMS = {
    "r": "red",
    "g": "green",
    "b": "blue",
    "n": "nir",
    "ir": "nir",
    "infrared": "nir",
    "nearinfrared": "nir",
    "gray": "grey",
    "undefined": "",
}
_USUAL_ORDER = ("red", "green", "blue", "nir")


@dataclass(frozen=True, slots=True)
class FileBand:
    """One band of a file, as the file describes it."""

    description: str
    """The name that the file gives the band; empty where it gives none."""
    color: str
    """GDAL's colour interpretation: "red", "gray", "alpha", "palette", "undefined", ..."""

    @property
    def name(self) -> str:
        """What to call the band in a message."""
        return self.description or self.color


def same_name(name: str) -> str:
    """The form in which names are compared: lower-case letters and digits, one synonym."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return _SYNONYMS.get(plain, plain)


def names_of(bands: Sequence[FileBand]) -> str:
    """The bands' names for a message: ``red, green, blue, alpha``."""
    return ", ".join(band.name for band in bands)


def order_by_name(wanted: Sequence[str], bands: Sequence[FileBand]) -> tuple[int, ...] | None:
    """The 1-based file bands with the wanted names, in that order; None unless each occurs once.

    Descriptions decide where the file has them; colour interpretations only where it has none.
    """
    described = [same_name(band.description) for band in bands]
    given = described if any(described) else [same_name(band.color) for band in bands]
    found = []
    for name in map(same_name, wanted):
        if not name or given.count(name) != 1:
            return None
        found.append(given.index(name) + 1)
    return tuple(found)


def example_bands(wanted: Sequence[str], bands: Sequence[FileBand]) -> tuple[int, ...]:
    """A ``--bands`` for a message: by the file's names if they decide, else as RGB, NIR."""
    by_name = order_by_name(wanted, bands)
    if by_name is not None:
        return by_name
    names = [same_name(name) for name in wanted]
    if set(names) <= set(_USUAL_ORDER):
        usual = tuple(_USUAL_ORDER.index(name) + 1 for name in names)
        if max(usual) <= len(bands):
            return usual
    return tuple(min(index, len(bands)) for index in range(1, len(wanted) + 1))


def bands_option(bands: Sequence[int]) -> str:
    """The option that chooses these bands, as one types it."""
    return f"--bands {','.join(str(band) for band in bands)}"
