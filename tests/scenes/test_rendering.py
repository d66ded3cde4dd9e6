"""A canvas, what is drawn on it, shadows against a walked ray, light and camera."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import shapely
from rasterio.features import rasterize
from rasterio.transform import from_origin

from geoseg.scenes.buildings import Panel, Roof
from geoseg.scenes.grounds import Car, Tree, crown
from geoseg.scenes.rendering import (
    Canvas,
    cast_shadows,
    develop,
    draw_ground,
    draw_thing,
    expose,
    shadow_steps,
)
from geoseg.scenes.town import Box, Patch, Surface, Thing, Town, normal_noise, smooth_noise

Record = Callable[..., None]
IMPERVIOUS, BUILDING, LOW_VEGETATION, TREE, CAR = range(5)
BOX = Box(10.3, 6.2, math.cos(0.5), math.sin(0.5), 11.0, 7.0)
GREY = (100.0, 90.0, 80.0, 70.0)
ROOFS = {
    "felt": Roof(BOX, "flat", 6.0, 0.0, GREY, 0.0, 0.1, 3),
    "metal": Roof(BOX, "flat", 6.0, 0.0, GREY, 0.7, 0.1, 3),
    "gabled": Roof(BOX, "gabled", 4.0, 0.8, GREY, 0.45, 0.1, 4),
    "hipped": Roof(BOX, "hipped", 4.0, 0.8, GREY, 0.45, 0.1, 5),
    "panels": Roof(
        BOX,
        "gabled",
        4.0,
        0.8,
        GREY,
        0.45,
        0.0,
        6,
        (Panel(1.0, -2.0, 3.0, 1.5, (1.0, 2.0, 3.0, 4.0)), Panel(-3.0, 1.0, 1.0, 1.0, GREY)),
    ),
}
THINGS: dict[str, Thing] = {
    **ROOFS,
    "car": Car(BOX._replace(length=4.5, width=1.8), GREY, 1.5, 40.0),
    "van": Car(BOX._replace(length=5.5, width=2.0), GREY, 2.3, 40.0),
    "oak": Tree(crown((10.3, 6.2), 4.0), 9.0, GREY, False, 0.7),
    "fir": Tree(crown((10.3, 6.2), 2.0), 7.0, GREY, True, 0.4),
}


def canvas_of(seed: int = 5, sampling: float = 0.15) -> Canvas:
    canvas = Canvas(Town.from_seed(seed), 0, 0, 90, 140, sampling)
    canvas.labels[:] = LOW_VEGETATION
    canvas.colour[:] = 1.0
    return canvas


def outline(box: Box, canvas: Canvas) -> np.ndarray:
    """True where the centre of a pixel lies in a box."""
    sampling = canvas.ground_sampling
    mask = rasterize(
        [shapely.Polygon(box.corners())],
        canvas.labels.shape,
        # rasterio counts y upwards, geoseg's scenes downwards
        transform=from_origin(0, 0, sampling, -sampling),
    )
    return mask.astype(bool)


def walked(
    level: np.ndarray, sun: tuple[float, float], elevation: float, sampling: float
) -> np.ndarray:
    """True where something on the straight way to the sun is at least half a metre over the ray."""
    shadow = np.zeros(level.shape, bool)
    for row, col in np.ndindex(level.shape):
        for step in range(1, 200):
            down, across = round(row + sun[1] * step), round(col + sun[0] * step)
            if not (0 <= down < level.shape[0] and 0 <= across < level.shape[1]):
                break
            rise = step * sampling * elevation
            shadow[row, col] |= level[down, across] > level[row, col] + rise + 0.5
    return shadow


@pytest.mark.parametrize("azimuth", [118, 160, 180, 215, 242])
def test_shadows_are_those_of_a_walked_ray(azimuth: float) -> None:
    sun = (math.sin(math.radians(azimuth)), -math.cos(math.radians(azimuth)))
    town = replace(Town.from_seed(1), sun=sun, elevation=1.0)
    level = np.zeros((70, 70), np.float32)
    level[40:50, 30:42] = 6.0
    level[20:24, 10:14] = 3.0
    found = cast_shadows(level, shadow_steps(town, 0.3)) > 0.5
    expected = walked(level, sun, 1.0, 0.3)
    # A ray of doubled steps may pass beside the walked one: outlines may differ by a pixel.
    assert (found != expected).mean() < 0.02
    assert found.sum() == pytest.approx(expected.sum(), rel=0.15)


def test_shadows_fall_away_from_the_sun() -> None:
    for seed in range(10):
        town = Town.from_seed(seed)
        level = np.zeros((160, 160), np.float32)
        level[76:84, 76:84] = 5.0
        shadow = cast_shadows(level, shadow_steps(town, 0.2))
        rows, cols = np.nonzero(shadow > 0.5)
        aside = np.array([cols.mean() - 79.5, rows.mean() - 79.5])
        assert aside @ town.sun < 0
        assert abs(aside[0] * town.sun[1] - aside[1] * town.sun[0]) < 0.2 * np.hypot(*aside)
        length = 5.0 / town.elevation / 0.2
        furthest = -(np.stack([cols - 79.5, rows - 79.5], 1) @ town.sun).min()
        assert furthest == pytest.approx(length, abs=8)
        assert shadow[76:84, 76:84].max() == 0


def test_shadows_begin_softly() -> None:
    town = replace(Town.from_seed(0), sun=(0.0, 1.0), elevation=1.0)
    level = np.zeros((400, 1), np.float32)
    level[20] = 1.0
    shadow = cast_shadows(level, shadow_steps(town, 0.1))[:, 0]
    # The ray from a pixel k steps away passes 0.1 k metres over the ground.
    expected = np.clip((1.0 - 0.1 * np.arange(20, 0, -1) - 0.12) * 2, 0, 1)
    np.testing.assert_allclose(shadow[:20], expected, atol=1e-5)
    assert not shadow[20:].any()


@pytest.mark.parametrize("sampling", [0.05, 0.15, 0.5])
def test_shadow_steps_reach_as_far_as_the_shadow_of_19_metres(sampling: float) -> None:
    for seed in range(20):
        town = Town.from_seed(seed)
        steps = shadow_steps(town, sampling)
        pixels = 19 / town.elevation / sampling
        assert pixels <= 2 ** len(steps) - 1 < 2 * pixels + 1
        for number, (down, across, rise) in enumerate(steps):
            assert (across, down) == tuple(round(axis * 2**number) for axis in town.sun)
            assert rise == pytest.approx(math.hypot(down, across) * sampling * town.elevation)


def test_a_canvas_knows_where_its_pixels_are() -> None:
    canvas = Canvas(Town.from_seed(1), -3, 7, 5, 9, 0.2)
    assert canvas.rows.tolist() == [-3, -2, -1, 0, 1]
    assert canvas.x[0] == pytest.approx(1.5)
    assert canvas.y[0] == pytest.approx(-0.5)
    assert canvas.labels.shape == canvas.level.shape == canvas.colour.shape[1:] == (5, 9)
    assert canvas.fine.shape == (5, 9)
    assert canvas.grain.shape == (4, 5, 9)
    assert not canvas.level.any()
    assert (canvas.sunlight == 1).all()


def test_an_area_holds_the_pixels_whose_centres_are_between_points() -> None:
    canvas = canvas_of(sampling=1.0)
    points = ((3.4, 10.6), (5.5, 2.4), (4.0, 4.0))
    area = canvas.area(points)
    assert area == (slice(2, 11), slice(3, 5))
    assert canvas.area(((-5.0, -5.0), (-1.0, 50.0))) is None
    assert canvas.area(((3.6, 1.0), (4.4, 9.0))) is None
    assert canvas.area(((0.0, 3.6), (9.0, 4.4))) is None


def test_leaf_clumps_are_bright_on_their_sunny_side() -> None:
    canvas = canvas_of(sampling=0.07)
    canvas.town = replace(canvas.town, sun=(0.0, 1.0))
    relief = canvas.clump + 0.6 * canvas.fine
    # 0.35 m are five pixels, and the sun is below.
    expected = relief[:-5] - relief[5:]
    np.testing.assert_array_equal(canvas.leaf_relief[:-5], expected)
    assert (canvas.leaf_relief[-1] == 0).all()


def surface(label: int, tone: float) -> Surface:
    return Surface(label, (tone, tone, tone, tone), (0.0, 0.0, 0.0, 0.0), 9.0, 1.0, 0.0, 0.0)


def test_patches_cover_polygons_in_the_order_of_their_layers() -> None:
    canvas = canvas_of()
    other = BOX._replace(x=14.0, cos=1.0, sin=0.0)
    turned = tuple(reversed(other.corners()))
    patches = [Patch(5, BOX.corners(), surface(0, 50.0)), Patch(2, turned, surface(0, 70.0))]
    draw_ground(canvas, patches, surface(2, 20.0))
    above, below = outline(BOX, canvas), outline(other, canvas)
    expected = np.where(above, 50.0, np.where(below, 70.0, 20.0))
    assert (canvas.colour[0] != expected).sum() <= 2, "centres on an outline"
    np.testing.assert_array_equal(canvas.labels == 0, canvas.colour[3] > 20)
    assert not canvas.level.any()


def test_ground_mixes_two_colours_by_noise(recorded: Record) -> None:
    canvas = canvas_of()
    look = Surface(2, (100.0, 80.0, 60.0, 40.0), (20.0, 30.0, 40.0, 50.0), 0.1, 2.5, 0.08, 0.2)
    draw_ground(canvas, [], look)
    noise = canvas.patchy + 0.6 * canvas.broad + 0.5 * canvas.clump
    share = np.clip((noise - 0.1) * 2.5, 0, 1)
    texture = 1 + 0.2 * (canvas.fine + 0.7 * canvas.clump) + 0.08 * canvas.grain[0]
    for band in range(4):
        expected = (look.base[band] + (look.other[band] - look.base[band]) * share) * texture
        np.testing.assert_allclose(canvas.colour[band], expected, rtol=1e-4)
    recorded(1e-5, colour=canvas.colour)


@pytest.mark.parametrize("name", THINGS)
def test_things_stay_as_recorded(name: str, recorded: Record) -> None:
    canvases = [canvas_of(seed, sampling) for seed, sampling in ((5, 0.15), (6, 0.13))]
    for canvas in canvases:
        draw_thing(canvas, THINGS[name])
    recorded(
        1e-5,
        colour=[canvas.colour for canvas in canvases],
        level=[canvas.level for canvas in canvases],
        sunlight=[canvas.sunlight for canvas in canvases],
        labels=[canvas.labels for canvas in canvases],
    )


@pytest.mark.parametrize("name", ROOFS)
def test_a_roof_covers_its_box(name: str) -> None:
    canvas, roof = canvas_of(), ROOFS[name]
    draw_thing(canvas, roof)
    drawn = canvas.labels == BUILDING
    assert (drawn != outline(BOX, canvas)).sum() <= 2
    for changed in (canvas.level != 0, canvas.colour[1] != 1):
        np.testing.assert_array_equal(changed, drawn)
    assert canvas.level[drawn].min() == pytest.approx(roof.eaves, abs=0.15)
    ridge = roof.eaves + roof.slope * BOX.width / 2
    assert canvas.level.max() == pytest.approx(ridge, abs=0.15)


@pytest.mark.parametrize("azimuth", [120.0, 180.0, 240.0])
def test_roof_faces_get_the_light_of_their_slope(azimuth: float) -> None:
    sun = (math.sin(math.radians(azimuth)), -math.cos(math.radians(azimuth)))
    canvas = canvas_of()
    canvas.town = replace(canvas.town, sun=sun, elevation=math.tan(math.radians(45)))
    roof = ROOFS["hipped"]
    draw_thing(canvas, roof)
    ray = np.array([*sun, 1.0]) / math.sqrt(2)
    for u, v in ((0, 2.5), (0, -2.5), (4.8, 0), (-4.8, 0)):
        toward = np.subtract(BOX.point(u, v), BOX.point(0, 0))
        toward = toward / np.linalg.norm(toward)
        normal = np.array([*(toward * roof.slope), 1.0]) / math.hypot(1, roof.slope)
        expected = max(0.0, normal @ ray) / ray[2]
        x, y = BOX.point(u, v)
        found = canvas.sunlight[int(y / 0.15), int(x / 0.15)]
        assert found == pytest.approx(expected, abs=1e-5)


def test_panels_lie_on_the_roof_in_its_coordinates() -> None:
    canvas = canvas_of()
    draw_thing(canvas, ROOFS["panels"])
    expected = outline(BOX.part(1.0, -2.0, 3.0, 1.5), canvas)
    assert ((canvas.colour[0] == 1.0) & outline(BOX, canvas) != expected).sum() <= 2
    for band in range(4):
        assert np.median(canvas.colour[band][expected]) == band + 1


def test_a_car_is_drawn_within_its_box_with_dark_windows() -> None:
    for name in ("car", "van"):
        canvas, car = canvas_of(), THINGS[name]
        draw_thing(canvas, car)
        drawn = canvas.labels == CAR
        box = outline(car.box, canvas)
        assert not (drawn & ~box).any()
        assert drawn.sum() > 0.9 * box.sum(), "corners are round"
        glass = drawn & (canvas.colour[0] < 45)
        assert 0.05 < glass.sum() / drawn.sum() < 0.6
        assert canvas.level.max() == pytest.approx(car.height)
        assert canvas.level[drawn].min() == 1.0


def test_cars_are_brighter_on_the_side_of_the_sun() -> None:
    canvas = canvas_of()
    car = Car(Box(10.0, 6.0, 1.0, 0.0, 4.5, 1.8), GREY, 1.5, 40.0)
    canvas.town = replace(canvas.town, sun=(0.0, 1.0))
    draw_thing(canvas, car)
    drawn = np.where((canvas.labels == CAR) & (canvas.level == 1), canvas.colour[0], np.nan)
    assert np.nanmean(drawn[44]) > 1.2 * np.nanmean(drawn[36])


def test_a_crown_is_round_and_domed() -> None:
    canvas, tree = canvas_of(), THINGS["oak"]
    draw_thing(canvas, tree)
    rows, cols = np.nonzero(canvas.labels == TREE)
    distance = np.hypot((cols + 0.5) * 0.15 - 10.3, (rows + 0.5) * 0.15 - 6.2)
    assert distance.max() < 1.25 * 4
    assert len(rows) * 0.15**2 == pytest.approx(math.pi * 3.76**2, rel=0.12)
    heights = canvas.level[rows, cols]
    assert heights[distance < 1].mean() == pytest.approx(9.0, abs=0.5)
    assert heights[distance > 3.5].mean() < 6.5
    sunny = (cols * 0.15 - 10.3) * canvas.town.sun[0] + (rows * 0.15 - 6.2) * canvas.town.sun[1] > 0
    light = canvas.sunlight[rows, cols]
    assert light[sunny].mean() > light[~sunny].mean() + 0.2


def test_the_higher_of_two_things_is_seen_in_whatever_order_they_are_drawn() -> None:
    things = [THINGS[name] for name in ("oak", "hipped", "van", "metal")]
    results = []
    for order in (things, things[::-1]):
        canvas = canvas_of()
        for thing in order:
            draw_thing(canvas, thing)
        results.append((canvas.labels, canvas.level, canvas.sunlight, canvas.colour))
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_lies_outside_is_not_drawn() -> None:
    canvas = canvas_of()
    draw_thing(canvas, replace(ROOFS["felt"], box=BOX._replace(x=-500.0)))
    assert not canvas.level.any()


def test_light_is_sun_and_sky_through_haze_and_gain(recorded: Record) -> None:
    canvas = canvas_of()
    canvas.colour[:] = 100.0
    canvas.sunlight[:] = 0.8
    town, shadow = canvas.town, np.linspace(0, 1, 90 * 140).reshape(90, 140).astype(np.float32)
    image = expose(canvas, shadow)
    slow = [
        smooth_noise(town.seed, 20 + band, canvas.y, canvas.x, length)
        for band, length in enumerate((90, 130, 150, 110, 170))
    ]
    for band, sky in enumerate((0.25, 0.30, 0.34, 0.40)):
        light = 0.8 * (1 - shadow) * (1 - sky) + sky
        light = light * (1 + 0.14 * slow[4] + 0.07 * slow[band])
        expected = light * 100 * town.gain[band] + town.haze[band]
        np.testing.assert_allclose(image[band], expected, rtol=1e-4)
    recorded(1e-5, image=image)


def test_the_camera_blurs_adds_noise_and_rounds() -> None:
    town = Town.from_seed(2)
    rows, cols = np.arange(5, 25), np.arange(-7, 33)
    grey = np.random.default_rng(0).uniform(30, 220, (4, 22, 42)).astype(np.float32)
    grey[:, :4] = -500
    grey[:, -4:] = 900
    kernel = np.outer((0.2, 0.6, 0.2), (0.2, 0.6, 0.2))
    blurred = sum(
        kernel[i, j] * grey[:, i : i + 20, j : j + 40] for i in range(3) for j in range(3)
    )
    noisy = blurred + town.noise * normal_noise(2, 30, rows, cols)
    found = develop(grey, rows, cols, town)
    assert found.dtype == np.uint8
    expected = np.clip(np.floor(noisy + 0.5), 1, 255)
    assert (found != expected).mean() < 1e-3
    assert np.abs(found - expected).max() <= 1
