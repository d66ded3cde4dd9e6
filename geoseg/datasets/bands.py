"""Which bands of the files are used, and under what names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from geoseg.errors import ConfigError, SourceError
from geoseg.raster import Source
from geoseg.raster.bands import order_by_name


@dataclass(frozen=True, slots=True)
class Bands:
    """Bands in the network's order."""

    numbers: tuple[int, ...]
    """Bands in the files, counted from 1."""
    names: tuple[str, ...]
    """What they show."""

    def refuse_missing(self, source: Source) -> None:
        """Refuse a file that lacks one of the bands.

        Raises:
            ConfigError: it has fewer.
        """
        known = band_names(source)
        if max(self.numbers) > len(known):
            wanted = dict(zip(self.names, self.numbers, strict=True))
            raise ConfigError(
                f"data.bands: {wanted} asks for band {max(self.numbers)}, but {source.path} has "
                f"{len(known)} ({', '.join(known)}); choose among 1..{len(known)}"
            )


def choose_bands(given: Sequence[int | str] | Mapping[str, int] | None, source: Source) -> Bands:
    """The bands that a config means, looked up in one of its images.

    Args:
        given: names of the bands to take, ``{name: number}``, numbers, or None for all. Names that
            the file itself does not know are given to its bands in their order.
        source: an image opened with all its bands.

    Raises:
        ConfigError: names and bands do not agree in number, a name is given twice, or the image
            lacks a band.
    """
    names_in_file = tuple(
        name if name != "undefined" and source.band_names.count(name) == 1 else f"band {number}"
        for number, name in zip(source.bands, source.band_names, strict=True)
    )
    if given is None:
        return Bands(source.bands, names_in_file)
    if isinstance(given, Mapping):
        return _checked(tuple(given.values()), tuple(given), source)
    if all(isinstance(band, int) for band in given):
        numbers = tuple(map(int, given))
        known = dict(zip(source.bands, names_in_file, strict=True))
        names = tuple(known.get(number, f"band {number}") for number in numbers)
        return _checked(numbers, names, source)
    names = tuple(map(str, given))
    order = order_by_name(names, source.file_bands)
    if order is None and len(names) != len(source.bands):
        raise ConfigError(
            f"data.bands: {len(names)} names for the {len(source.bands)} bands of {source.path}; "
            f"say which is which, as {{{names[0]}: 1, ...}}"
        )
    return _checked(source.bands if order is None else order, names, source)


def refuse_other_bands(first: Source, other: Source) -> None:
    """Refuse an image whose bands are not those of the first one.

    Raises:
        SourceError: it has more or fewer, or the same ones in another order.
    """
    expected, found = band_names(first), band_names(other)
    reordered = found != expected and sorted(found) == sorted(expected)
    if len(found) != len(expected) or reordered:
        raise SourceError(
            f"{other.path}: has bands {', '.join(found)}, but {first.path} has "
            f"{', '.join(expected)}; bands are taken by number, so all images need the same ones "
            "in the same order"
        )


def band_names(source: Source) -> list[str]:
    """The names of all bands of the file."""
    return [band.name for band in source.file_bands]


def _checked(numbers: tuple[int, ...], names: tuple[str, ...], source: Source) -> Bands:
    if not numbers or min(numbers) < 1 or len(set(names)) != len(names):
        raise ConfigError(
            f"data.bands: {dict(zip(names, numbers, strict=True))}; bands count from 1, names must "
            "differ"
        )
    bands = Bands(numbers, names)
    bands.refuse_missing(source)
    return bands
