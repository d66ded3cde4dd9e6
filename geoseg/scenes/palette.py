"""What things are made of: colours (near-infrared, red, green, blue, grey values in full sun) and their spread.

Materials overlap on purpose, as they do in real imagery: slate is as grey as asphalt, a planted roof as green as a
lawn, dry grass as pale as gravel. What tells them apart is shape, texture, shadow and neighbourhood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.scenes.things import IMPERVIOUS, LOW_VEGETATION, Colour, Surface

if TYPE_CHECKING:
    from geoseg.scenes.town import Town

_ROOFS: dict[str, Colour] = {
    "tile": (138, 146, 92, 76),
    "old tile": (112, 112, 82, 72),
    "brown": (96, 92, 76, 70),
    "slate": (84, 88, 92, 98),
    "grey": (112, 114, 114, 113),
    "light": (158, 158, 154, 146),
    "metal": (196, 200, 204, 208),
    "copper": (118, 104, 132, 118),
    "gravel": (126, 124, 118, 108),
    "bitumen": (70, 72, 74, 78),
    "planted": (142, 104, 108, 78),
}
_PITCHED = ("tile", "old tile", "brown", "slate", "grey", "copper")
_FLAT = ("gravel", "grey", "light", "bitumen", "metal", "planted")
_CARS: tuple[tuple[float, Colour], ...] = (
    (0.24, (214, 216, 216, 214)),
    (0.20, (150, 158, 160, 164)),
    (0.22, (40, 38, 40, 44)),
    (0.14, (84, 88, 92, 96)),
    (0.08, (150, 150, 42, 40)),
    (0.08, (96, 44, 66, 128)),
    (0.02, (140, 170, 150, 50)),
    (0.02, (110, 60, 96, 64)),
)
_LEAVES: tuple[Colour, ...] = (
    (170, 74, 96, 60),
    (146, 62, 82, 56),
    (182, 88, 108, 66),
    (136, 70, 84, 64),
)
_TURNED: tuple[Colour, ...] = (
    (160, 128, 82, 58),
    (150, 142, 112, 60),
    (128, 112, 92, 66),
    (140, 92, 62, 62),
)
_CONIFERS: tuple[Colour, ...] = ((112, 48, 66, 54), (98, 46, 58, 54))


def shaded(colour: Colour, factor: float) -> Colour:
    """`colour`, darker or brighter."""
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor, colour[3] * factor)


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """`share` of the second colour in the first."""
    blend = [a + (b - a) * share for a, b in zip(first, second, strict=True)]
    return (blend[0], blend[1], blend[2], blend[3])


def varied(
    rng: np.random.Generator, colour: Colour, brightness: float, hue: float = 0.02
) -> Colour:
    """`colour` with its brightness and each band thrown by a relative standard deviation."""
    factor = float(np.clip(rng.normal(1.0, brightness), 1 - 2 * brightness, 1 + 2 * brightness))
    bands = [part * factor * (1.0 + hue * rng.normal()) for part in colour]
    return (bands[0], bands[1], bands[2], bands[3])


def roof_colour(rng: np.random.Generator, town: Town, *, flat: bool) -> tuple[str, Colour]:
    """A roofing and its colour, to the taste of the town."""
    warm = town.warmth
    if flat:
        names, weights = _FLAT, (0.3, 0.22, 0.16, 0.16, 0.08, 0.08)
    else:
        names, weights = (
            _PITCHED,
            (warm, 0.7 * warm, 0.35, 0.9 * (1 - warm), 0.9 * (1 - warm), 0.05),
        )
    name = names[int(rng.choice(len(names), p=np.array(weights) / sum(weights)))]
    return name, varied(rng, _ROOFS[name], 0.1)


def car_colour(rng: np.random.Generator) -> Colour:
    """Paint of a car; one in ten stands in a colour between the common ones."""
    weights = np.array([weight for weight, _ in _CARS])
    return varied(rng, _CARS[int(rng.choice(len(_CARS), p=weights / weights.sum()))][1], 0.1, 0.03)


def leaf_colour(rng: np.random.Generator, town: Town, *, conifer: bool) -> Colour:
    """Foliage of one tree in this town's season."""
    if conifer:
        return varied(rng, _CONIFERS[int(rng.integers(len(_CONIFERS)))], 0.1)
    green = _LEAVES[int(rng.integers(len(_LEAVES)))]
    if rng.random() < town.autumn:
        return varied(
            rng, mixed(green, _TURNED[int(rng.integers(len(_TURNED)))], rng.uniform(0.6, 1.0)), 0.1
        )
    return varied(rng, mixed(green, (150, 116, 106, 72), 0.25 * town.dryness), 0.12, 0.07)


def lawn(rng: np.random.Generator, town: Town, *, rough: bool = False) -> Surface:
    """Grass: mown or rough, lush or dry, with bare or clovery patches."""
    dry = float(np.clip(town.dryness * 0.75 + rng.normal(0, 0.16), 0.0, 0.9))
    base = varied(rng, mixed((166, 72, 97, 60), (150, 134, 122, 88), dry), 0.13, 0.06)
    bare = varied(rng, (128, 128, 108, 84), 0.08)
    other = (
        mixed(base, bare, rng.uniform(0.25, 0.9))
        if rng.random() < 0.6
        else shaded(base, rng.uniform(0.8, 0.92))
    )
    threshold = rng.uniform(-0.1, 0.35) if rough else rng.uniform(0.1, 0.6)
    return Surface(LOW_VEGETATION, base, other, threshold, 2.5, 0.08, 0.24 if rough else 0.13)


def crop(rng: np.random.Generator, town: Town) -> Surface:
    """A field or a vegetable bed: growing, ripe or ploughed."""
    states: tuple[Colour, ...] = ((170, 92, 110, 66), (158, 156, 134, 92), (116, 114, 96, 80))
    base = varied(rng, states[int(rng.integers(len(states)))], 0.08)
    return Surface(
        LOW_VEGETATION, base, shaded(base, 0.82), 0.2, 2.0, 0.06, 0.2 + 0.05 * town.dryness
    )


def asphalt(rng: np.random.Generator, town: Town, spread: float = 0.07) -> Surface:
    """Road surface with mended patches."""
    tone = town.asphalt * float(np.clip(rng.normal(1.0, spread), 0.7, 1.4))
    base = varied(rng, (tone * 0.97, tone, tone * 1.01, tone * 1.02), 0.0, 0.015)
    return Surface(IMPERVIOUS, base, shaded(base, rng.uniform(0.84, 1.14)), 0.35, 5.0, 0.03, 0.03)


def paving(rng: np.random.Generator, *, brick: float = 0.28) -> Surface:
    """Slabs, setts, brick (with that probability) or gravel: drives, terraces, yards and paths."""
    kinds: tuple[Colour, ...] = (
        (146, 144, 138, 130),
        (128, 126, 122, 116),
        (136, 136, 98, 84),
        (150, 146, 130, 108),
    )
    base = varied(
        rng, kinds[int(rng.choice(4, p=(0.42 - brick / 2, 0.38 - brick / 2, brick, 0.2)))], 0.08
    )
    return Surface(IMPERVIOUS, base, shaded(base, rng.uniform(0.85, 1.08)), 0.3, 3.0, 0.06, 0.1)


def court(rng: np.random.Generator) -> Surface:
    """A painted sports court: red or green, and hard."""
    kinds: tuple[Colour, ...] = ((128, 138, 84, 74), (104, 72, 106, 84), (100, 74, 92, 128))
    base = varied(rng, kinds[int(rng.integers(3))], 0.06)
    return Surface(IMPERVIOUS, base, shaded(base, 0.92), 0.4, 3.0, 0.02, 0.04)


def marking(rng: np.random.Generator) -> Surface:
    """White road paint, worn to the asphalt in places."""
    bright = rng.uniform(168, 220)
    base = (bright * 0.97, bright, bright, bright * 0.98)
    return Surface(IMPERVIOUS, base, shaded(base, 0.7), 0.1, 4.0, 0.05, 0.1)


def kerb(rng: np.random.Generator) -> Surface:
    """The pale line of kerb stones between carriageway and pavement."""
    base = varied(rng, (150, 152, 150, 144), 0.07)
    return Surface(IMPERVIOUS, base, shaded(base, 0.85), 0.3, 4.0, 0.04, 0.06)


def furrow(field: Surface) -> Surface:
    """The darker lines between the rows of a field."""
    dark = shaded(field.base, 0.86)
    return Surface(
        LOW_VEGETATION, dark, shaded(field.other, 0.9), field.threshold, field.sharpness, 0.05, 0.2
    )
