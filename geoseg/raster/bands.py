"""Which band of a file is which: names compared, and ``--bands`` suggested."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from geoseg.report import shorten

_SYNONYMS = {
    "r": "red",
    "g": "green",
    "b": "blue",
    "n": "nir",
    "ir": "nir",
    "infrared": "nir",
    "nearinfrared": "nir",
    "nearir": "nir",
    "b02": "blue",  # Sentinel-2 writes two digits; B2 to B8 mean other colours in other products
    "b03": "green",
    "b04": "red",
    "b08": "nir",
    "gray": "grey",
    "undefined": "",
}
_SPECTRAL = frozenset(
    (
        *("red", "green", "blue", "nir", "coastal", "yellow", "rededge", "pan", "cyan", "magenta"),
        *("swir", "swir1", "swir2", "mwir", "lwir", "tir"),
    )
)
"""Names that say what a band shows, whichever file or model has them."""
_NO_COLOR = ("undefined", "gray", "palette", "alpha")
"""Interpretations that name no colour; GDAL calls the first band "gray" where it knows nothing."""
_COUNTED = re.compile(r"(band|layer|channel)?\d*")
"""Descriptions that only count the bands: "Band 1"."""
_USUAL_ORDER = ("red", "green", "blue", "nir")
_TYPED = re.compile(r"[A-Za-z_][\w-]*")
"""Names that ``--bands`` takes as they are, without quotes."""


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

    @property
    def described(self) -> str:
        """What the description says, as names are compared; empty where it only counts."""
        name = same_name(self.description)
        return "" if _COUNTED.fullmatch(name) else name

    @property
    def marked(self) -> str:
        """The colour that the file marks it as, as names are compared; empty where it is none."""
        return "" if self.color in _NO_COLOR else same_name(self.color)


@functools.lru_cache  # of all bands of all sheets, again and again
def same_name(name: str) -> str:
    """The form in which names are compared: lower-case letters and digits, one synonym."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return _SYNONYMS.get(plain, plain)


def names_of(bands: Sequence[FileBand]) -> str:
    """The bands' names for a message: ``red, green, blue, alpha``."""
    return shorten((band.name for band in bands), 20)


def order_by_name(wanted: Sequence[str], bands: Sequence[FileBand]) -> tuple[int, ...] | None:
    """The 1-based file bands with the wanted names, in that order; None unless each occurs once.

    A band's description decides where it says something; its colour interpretation where not.
    """
    names = [same_name(name) for name in wanted]
    given = []
    for band in bands:
        description = same_name(band.description)
        given.append(description if description in names else band.described or band.marked)
    if not all(name and given.count(name) == 1 for name in names):
        return None
    return tuple(given.index(name) + 1 for name in names)


def descriptions_contradict(wanted: Sequence[str], bands: Sequence[FileBand]) -> bool:
    """Whether a band is described as something else than the wanted one at its place."""
    return _contradict(wanted, [band.described for band in bands])


def names_contradict(wanted: Sequence[str], bands: Sequence[FileBand]) -> bool:
    """The same by all names: by its colour where a band's description is not known."""
    known = _SPECTRAL.union(map(same_name, wanted))
    names = [band.described if band.described in known else band.marked for band in bands]
    return _contradict(wanted, names)


def _contradict(wanted: Sequence[str], names: Sequence[str]) -> bool:
    """Only names that both sides can know are compared; any other may mean the same band."""
    needed = [same_name(name) for name in wanted]
    known_here, known_there = _SPECTRAL.union(needed), _SPECTRAL.union(names)
    return any(
        name and need and name != need and name in known_here and need in known_there
        for name, need in zip(names, needed, strict=True)
    )


def bands_advice(wanted: Sequence[str], bands: Sequence[FileBand]) -> tuple[str, str]:
    """How to choose the wanted bands among a file's, when their number does not fit.

    Returns:
        What to give to ``--bands``, empty where that cannot be known; and words for a message.
    """
    if len(bands) < len(wanted):
        return "", (
            "it lacks bands: name the file that has them by --stack, add them, or take a model for "
            "those that it has"
        )
    if order_by_name(wanted, bands) is not None:
        names = named_bands(wanted, bands)
        return names, f"choose them by name: --bands {names}"
    needed = [same_name(name) for name in wanted]
    if set(needed) <= set(_USUAL_ORDER):
        numbers = [_USUAL_ORDER.index(name) + 1 for name in needed]
        usual = _USUAL_ORDER[: max(numbers)]
        if len(usual) <= len(bands) and not names_contradict(usual, bands[: len(usual)]):
            text = ",".join(map(str, numbers))
            return text, f"if its first bands are {', '.join(usual)}, choose --bands {text}"
    return "", (
        f"choose {', '.join(wanted)} among 1..{len(bands)} by number, in this order, with --bands"
    )


def named_bands(wanted: Sequence[str], bands: Sequence[FileBand]) -> str:
    """What to give to ``--bands`` for bands that the file has by name: the names if they can be.

    A name with a comma, or one that is a number, cannot be typed there; then it is the numbers.
    """
    numbers = order_by_name(wanted, bands) or ()
    plain = all(_TYPED.fullmatch(name) for name in wanted)
    return ",".join(wanted if plain else map(str, numbers))


def bands_option(bands: Sequence[int | str]) -> str:
    """The option that chooses these bands, as one types it."""
    return f"--bands {','.join(str(band) for band in bands)}"
