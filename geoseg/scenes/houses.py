"""Buildings: from a footprint to roofs with their chimneys, windows, panels and sheds."""

from __future__ import annotations

import numpy as np

from geoseg.scenes.palette import roof_colour, shaded, varied
from geoseg.scenes.things import Box, Colour, Panel, Roof
from geoseg.scenes.town import Town

_GLASS: Colour = (44, 46, 54, 64)
_SOLAR: Colour = (38, 34, 42, 62)
_SKYLIGHT: Colour = (190, 194, 198, 200)


def pitched(
    rng: np.random.Generator,
    town: Town,
    box: Box,
    eaves: float,
    colour: Colour | None = None,
    kind: str = "",
) -> list[Roof]:
    """A gabled or hipped house with chimney, and often windows or solar panels in the roof."""
    if box.width > box.length:
        box = box.turned()
    kind = kind or ("gabled" if rng.random() < 0.7 else "hipped")
    slope = float(rng.uniform(0.45, 0.95))
    if colour is None:
        colour = roof_colour(rng, town, flat=False)[1]
    panels = _windows(rng, box) if kind == "gabled" else ()
    roof = Roof(
        box,
        kind,
        eaves,
        slope,
        colour,
        0.45,
        rng.uniform(0.03, 0.12),
        int(rng.integers(1 << 30)),
        panels,
    )
    ridge = eaves + slope * box.width / 2
    roofs = [roof]
    if rng.random() < 0.75:
        u, v = rng.uniform(-0.35, 0.35) * box.length, rng.uniform(-0.15, 0.15) * box.width
        size = rng.uniform(0.6, 1.0)
        roofs.append(
            _slab(
                rng, box.part(u, v, size, size), ridge + 0.6, varied(rng, (120, 112, 96, 90), 0.15)
            )
        )
    if kind == "gabled" and box.width > 8 and rng.random() < 0.3:
        side = float(rng.choice([-1, 1]))
        dormer = box.part(
            rng.uniform(-0.2, 0.2) * box.length, side * box.width * 0.28, 2.4, box.width * 0.3
        )
        roofs.append(
            _slab(
                rng, dormer, eaves + slope * box.width * 0.36, shaded(colour, rng.uniform(0.8, 1.1))
            )
        )
    return roofs


def angled(rng: np.random.Generator, town: Town, box: Box, eaves: float) -> list[Roof]:
    """A house with a wing at a right angle, under one roofing."""
    colour = roof_colour(rng, town, flat=False)[1]
    roofs = pitched(rng, town, box, eaves, colour, "gabled")
    side = float(rng.choice([-1, 1]))
    wing = box.part(
        rng.uniform(-0.3, 0.3) * box.length,
        side * 0.42 * box.width,
        0.42 * box.length,
        rng.uniform(0.55, 0.8) * box.width,
    )
    slope = roofs[0].slope
    roofs.append(
        Roof(wing.turned(), "gabled", eaves, slope, colour, 0.45, roofs[0].wear, roofs[0].key + 1)
    )
    return roofs


def flat(
    rng: np.random.Generator, town: Town, box: Box, height: float, colour: Colour | None = None
) -> list[Roof]:
    """A flat roof with its parapet, and the boxes and domes that stand on larger ones."""
    name = "grey"
    if colour is None:
        name, colour = roof_colour(rng, town, flat=True)
    seam = 0.7 if name == "metal" else 0.0
    area = box.length * box.width
    panels = _domes(rng, box) if area > 120 and rng.random() < 0.6 else ()
    if area > 100 and not panels and rng.random() < 0.35:
        panels = _solar_field(rng, box)
    wear = rng.uniform(0.02, 0.07) if name == "metal" else rng.uniform(0.05, 0.16)
    roofs = [Roof(box, "flat", height, 0.0, colour, seam, wear, int(rng.integers(1 << 30)), panels)]
    for _ in range(int(rng.poisson(min(6.0, area / 180)))):
        u, v = rng.uniform(-0.4, 0.4) * (box.length - 3), rng.uniform(-0.4, 0.4) * (box.width - 3)
        plant = box.part(u, v, rng.uniform(1.0, 4.0), rng.uniform(1.0, 2.6))
        tone = varied(rng, (140, 142, 142, 140), 0.2)
        roofs.append(_slab(rng, plant, height + rng.uniform(0.6, 2.4), tone))
    return roofs


def shed(rng: np.random.Generator, town: Town, box: Box) -> list[Roof]:
    """A garage or garden shed."""
    return [_slab(rng, box, rng.uniform(2.2, 2.8), roof_colour(rng, town, flat=True)[1])]


def _slab(rng: np.random.Generator, box: Box, height: float, colour: Colour) -> Roof:
    return Roof(box, "flat", height, 0.0, colour, 0.0, 0.06, int(rng.integers(1 << 30)))


def _windows(rng: np.random.Generator, box: Box) -> tuple[Panel, ...]:
    """Roof windows, or a field of solar panels on one side."""
    side = float(rng.choice([-1, 1]))
    if rng.random() < 0.2:
        return (
            Panel(
                0.0,
                side * box.width * 0.25,
                box.length * rng.uniform(0.4, 0.8),
                box.width * 0.3,
                _SOLAR,
            ),
        )
    glass = _GLASS if rng.random() < 0.7 else shaded(_SKYLIGHT, 0.85)
    spots = rng.uniform(-0.4, 0.4, int(rng.integers(0, 4)))
    return tuple(
        Panel(float(u) * box.length, side * box.width * 0.24, 0.9, 1.3, glass) for u in spots
    )


def _domes(rng: np.random.Generator, box: Box) -> tuple[Panel, ...]:
    """Rows of roof lights on a hall."""
    gap, size = rng.uniform(5, 9), rng.uniform(1.0, 1.8)
    long = rng.random() < 0.4
    return tuple(
        Panel(
            float(u), 0.0 if long else float(v), size, box.width * 0.7 if long else size, _SKYLIGHT
        )
        for u in np.arange(-box.length / 2 + gap, box.length / 2 - gap / 2, gap)
        for v in ((0.0,) if long else np.arange(-box.width / 2 + gap, box.width / 2 - gap / 2, gap))
    )


def _solar_field(rng: np.random.Generator, box: Box) -> tuple[Panel, ...]:
    """Rows of solar panels on a flat roof."""
    rows = np.arange(-box.width / 2 + 2.0, box.width / 2 - 1.5, 2.4)
    length = (box.length - 4) * rng.uniform(0.5, 0.9)
    return tuple(Panel(0.0, float(v), length, 1.4, _SOLAR) for v in rows)
