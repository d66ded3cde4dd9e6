"""Sites, their surfaces, plants and cars."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import shapely

from geoseg.scenes import grounds
from geoseg.scenes.grounds import Car, Site, Tree
from geoseg.scenes.town import Box, Layer, Surface, Town, find_node, find_street, random_stream

Record = Callable[..., None]
IMPERVIOUS, LOW_VEGETATION = 0, 2


def site_of(seed: int, *cell: int) -> Site:
    """The quarter of a cell, or with one number a street's ground."""
    quarter = cell if len(cell) == 2 else ()
    return Site(Town.from_seed(seed), random_stream(seed, 99, *cell), *quarter)


def private_ground(site: Site) -> shapely.Polygon:
    """The quarter without half of each street, from its corners alone."""
    ground = shapely.Polygon(site.corners)
    for turn, street in enumerate(site.streets):
        ends = site.corners[turn], site.corners[(turn + 1) % 4]
        (x0, y0), (x1, y1) = ends
        length = math.dist(*ends)
        along = np.array([(x1 - x0) / length, (y1 - y0) / length])
        inward = np.array([-along[1], along[0]])
        start = np.array(ends[0]) + street.reach * inward
        corners = [start - 500 * along, start + 500 * along]
        corners += [corners[1] + 500 * inward, corners[0] + 500 * inward]
        ground = ground.intersection(shapely.Polygon(corners))
    return ground


def boxes(site: Site, count: int) -> list[Box]:
    """Boxes of all sizes and directions around a quarter."""
    rng = np.random.default_rng(1)
    angles = rng.uniform(0, 7, count)
    return [
        Box(*site.at(*rng.uniform(-0.2, 1.2, 2)), math.cos(a), math.sin(a), *rng.uniform(2, 25, 2))
        for a in angles
    ]


def test_a_quarter_lies_between_its_four_streets() -> None:
    site = site_of(1, 3, -2)
    assert site.corners == tuple(
        find_node(site.town, *node) for node in ((3, -2), (4, -2), (4, -1), (3, -1))
    )
    assert site.streets == (
        find_street(site.town, 0, 3, -2),
        find_street(site.town, 1, 4, -2),
        find_street(site.town, 0, 3, -1),
        find_street(site.town, 1, 3, -2),
    )
    ground = private_ground(site)
    for side, street in zip(site.sides, site.streets, strict=True):
        assert side.width == street.reach
        middle = side.point(side.length / 2, 0.0)
        assert ground.exterior.distance(shapely.Point(middle)) < 1e-6
        assert ground.contains(shapely.Point(side.point(side.length / 2, 5.0)))
    flanks = (math.dist(*site.corners[1:3]) + math.dist(site.corners[3], site.corners[0])) / 2
    assert site.depth == pytest.approx(flanks - site.streets[0].reach - site.streets[2].reach)


def test_a_street_is_a_site_without_sides() -> None:
    site = site_of(1)
    assert (site.corners, site.streets, site.sides) == ((), (), [])


def test_fractions_count_from_the_first_corner() -> None:
    site = site_of(2, 0, 0)
    for (u, v), corner in zip(((0, 0), (1, 0), (1, 1), (0, 1)), site.corners, strict=True):
        assert site.at(u, v) == pytest.approx(corner)
    centre = np.mean(site.corners, axis=0)
    assert site.at(0.5, 0.5) == pytest.approx(tuple(centre))
    (ax, ay), (bx, by) = site.corners[:2]
    assert site.at(0.25, 0) == pytest.approx((ax + (bx - ax) / 4, ay + (by - ay) / 4))


def test_fronts_are_the_sides_with_streets_between_their_neighbours() -> None:
    for place in range(40):
        site = site_of(3, place, 1)
        turns = [turn for turn in (0, 2, 3) if site.streets[turn].width]
        fronts = list(site.fronts({0: 1.0, 2: 2.0, 3: 3.0}))
        assert [front[0] for front in fronts] == [site.sides[turn] for turn in turns]
        for turn, (side, start, end) in zip(turns, fronts, strict=True):
            inset = {0: 1.0, 2: 2.0, 3: 3.0}[turn]
            assert start == site.streets[turn - 1].reach + inset
            assert end == side.length - site.streets[(turn + 1) % 4].reach - inset


def test_a_site_contains_what_its_private_ground_covers() -> None:
    site = site_of(4, 1, 1)
    ground = private_ground(site)
    inside = 0
    for box in boxes(site, 300):
        contained = ground.buffer(-2.0, join_style="mitre").covers(shapely.Polygon(box.corners()))
        assert site.contains(box, 2.0) == contained
        inside += contained
    assert 20 < inside < 280


def test_reserved_ground_is_kept_free() -> None:
    site = site_of(5, 0, 2)
    for box in boxes(site, 300):
        site.reserve(box, 1.0, 2.0)
    outlines = [shapely.Polygon(box.corners()) for box in site.reserved]
    assert len(outlines) > 5
    for number, outline in enumerate(outlines):
        for other in outlines[:number]:
            assert outline.distance(other) >= 2.0 - 1e-9
    first = site.reserved[0]
    assert not site.is_free(first, -0.5)
    assert site.is_free(first, -max(first.length, first.width))
    size = first.length
    assert not site.is_free(first.part(size + 1.9, 0, size, first.width), 2.0)
    site.reserved = [first]
    assert site.is_free(first.part(size + 2.1, 0, size, first.width), 2.0)


def test_reserve_takes_boxes_half_a_metre_from_the_edge_and_a_metre_apart() -> None:
    site = site_of(5, 0, 2)
    front = site.sides[0]
    assert not site.reserve(front.part(50, 5.4, 10, 10))
    assert site.reserve(front.part(50, 5.6, 10, 10))
    assert not site.reserve(front.part(60.9, 5.6, 10, 10))
    assert site.reserve(front.part(61.1, 5.6, 10, 10))


def test_paving_ends_at_the_centre_lines_of_streets() -> None:
    site = site_of(6, 0, 0)
    surface = grounds.court(site)
    quarter = shapely.Polygon(site.corners)
    for box in boxes(site, 200):
        site.pave(Layer.LOT, box, surface)
        expected = quarter.intersection(shapely.Polygon(box.corners()))
        if expected.area > 1e-6:
            patch = site.patches[-1]
            assert patch.layer == Layer.LOT
            assert patch.surface is surface
            assert shapely.Polygon(patch.corners).symmetric_difference(expected).area < 1e-6
    count = len(site.patches)
    site.pave(Layer.LOT, Box(*site.at(5, 5), 1, 0, 3, 3), surface)
    assert len(site.patches) == count, "what lies elsewhere is left out"
    site.cover(surface)
    assert site.patches[-1] == (Layer.GROUND, site.corners, surface)


def test_the_layers_of_streets_lie_over_those_of_quarters() -> None:
    names = [
        "GROUND",
        "LOT",
        "YARD",
        "PATH",
        "LINE",
        "PAVEMENT",
        "KERB",
        "ROAD",
        "REPAIR",
        "MARKING",
    ]
    layers = [Layer[name] for name in names]
    assert all(below < above for below, above in pairwise(layers))


def test_boxes_at_a_place_are_parallel_to_the_first_side() -> None:
    site = site_of(6, 0, 0)
    box = site.box_at((7.0, 8.0), 5.0, 3.0)
    assert box == (7, 8, site.sides[0].cos, site.sides[0].sin, 5, 3)


SURFACES: dict[str, Callable[[Site], Surface]] = {
    "lawn": grounds.lawn,
    "rough": lambda site: grounds.lawn(site, rough=True),
    "crop": grounds.crop,
    "furrow": lambda site: grounds.furrow(grounds.crop(site)),
    "asphalt": grounds.asphalt,
    "patched": lambda site: grounds.asphalt(site, 0.3),
    "paving": grounds.paving,
    "grey paving": lambda site: grounds.paving(site, brick=0.04),
    "court": grounds.court,
    "marking": grounds.marking,
    "kerb": grounds.kerb,
}


@pytest.mark.parametrize("name", SURFACES)
def test_surfaces_stay_as_recorded(name: str, recorded: Record) -> None:
    site = site_of(7, 1)
    surfaces = [SURFACES[name](site) for _ in range(150)]
    green = name in ("lawn", "rough", "crop", "furrow")
    assert {surface.label for surface in surfaces} == {LOW_VEGETATION if green else IMPERVIOUS}
    assert np.array([surface.base for surface in surfaces]).max() < 256
    recorded(
        base=[surface.base for surface in surfaces],
        other=[surface.other for surface in surfaces],
        look=[surface[3:] for surface in surfaces],
    )


def test_dry_towns_have_paler_lawns() -> None:
    def redness(dryness: float) -> float:
        site = site_of(8, 1)
        site.town = replace(site.town, dryness=dryness)
        bases = np.array([grounds.lawn(site).base for _ in range(200)])
        return float((bases[:, 1] / bases[:, 0]).mean())

    assert redness(0.9) > redness(0.1) + 0.1


def test_trees_stay_as_recorded(recorded: Record) -> None:
    site = site_of(9, 4)
    street = [grounds.street_tree(site, (5.0, -3.0)) for _ in range(150)]
    garden = [grounds.garden_tree(site, (5.0, -3.0), 6.0) for _ in range(300)]
    small = [grounds.garden_tree(site, (5.0, -3.0), 1.0) for _ in range(100)]
    for tree in (*street, *garden):
        assert (tree.box.x, tree.box.y) == (5, -3)
        assert tree.trunk == (5, -3, 1, 0, 1, 1)
        assert tree.radius == tree.box.width / 2
    assert max(tree.height for tree in garden) <= 14
    assert 0.1 < np.mean([tree.conifer for tree in garden]) < 0.3
    assert max(tree.radius for tree in garden) < 6
    recorded(street=street, garden=garden, small=small)


def test_no_tree_is_higher_than_14_metres() -> None:
    site = site_of(9, 4)
    assert max(grounds.garden_tree(site, (0.0, 0.0), 9.0).height for _ in range(100)) == 14


def test_autumn_turns_leaves() -> None:
    def greenness(autumn: float) -> float:
        site = site_of(8, 1)
        site.town = replace(site.town, autumn=autumn)
        colours = np.array([grounds.leaf_colour(site) for _ in range(200)])
        return float((colours[:, 2] / colours[:, 1]).mean())

    assert greenness(0.0) > 1.1 > 0.9 > greenness(1.0)


def test_trees_are_planted_where_nothing_is_built() -> None:
    site = site_of(10, 0, 0)
    house = site.box_at(site.at(0.5, 0.5), 40, 20)
    assert site.reserve(house)
    grounds.scatter_trees(site, 60, 6.0)
    trees = [thing for thing in site.things if isinstance(thing, Tree)]
    assert len(trees) > 30
    trunks = [shapely.Polygon(tree.trunk.corners()) for tree in trees]
    outline = shapely.Polygon(house.corners())
    assert min(trunk.distance(outline) for trunk in trunks) >= 0.3 - 1e-9
    edge = private_ground(site).exterior
    assert min(trunk.distance(edge) for trunk in trunks) >= 0.5 - 1e-9
    overhanging = [
        tree.radius + 0.5 > trunk.distance(outline)
        for tree, trunk in zip(trees, trunks, strict=True)
    ]
    assert any(overhanging), "some crowns lean over the roof"


def test_scattered_trees_stay_as_recorded(recorded: Record) -> None:
    trees = []
    for place in range(6):
        site = site_of(10, place, 0)
        site.reserve(site.box_at(site.at(0.5, 0.5), 40, 20))
        grounds.scatter_trees(site, 25, 5.0)
        trees += site.things
    recorded(trees=trees)


def test_a_tree_without_room_is_not_planted() -> None:
    site = site_of(10, 0, 0)
    tree = grounds.street_tree(site, site.at(0.5, 0.5))
    assert grounds.plant(site, tree, 1.0, 1.0)
    assert site.things == [tree]
    site.reserved.append(site.box_at(site.at(0.5, 0.5), 3, 3))
    assert not grounds.plant(site, tree, 1.0, 1.0)
    outside = grounds.street_tree(site, site.at(0.0, 0.5))
    assert not grounds.plant(site, outside, 1.0, 1.0)
    assert site.things == [tree]


def test_cars_are_where_they_were_placed(recorded: Record) -> None:
    site = site_of(11, 0)
    frame = Box(100.0, 50.0, math.cos(0.4), math.sin(0.4), 30.0, 7.0)
    for _ in range(400):
        grounds.add_car(site, frame, 3.0, 2.0, math.pi / 2)
    cars = [thing for thing in site.things if isinstance(thing, Car)]
    places = np.array([frame.coordinates(car.box.x, car.box.y) for car in cars])
    assert places.mean(axis=0) == pytest.approx((3, 2), abs=0.02)
    assert places[:, 0].std() < 1e-9
    assert places[:, 1].std() == pytest.approx(0.08, abs=0.01)
    angles = np.array([math.atan2(car.box.sin, car.box.cos) for car in cars])
    assert angles.mean() == pytest.approx(0.4 + math.pi / 2, abs=0.005)
    vans = [car for car in cars if car.height > 2]
    assert 0.03 < len(vans) / len(cars) < 0.11
    assert (
        min(van.box.length for van in vans)
        >= 5
        > max(car.box.length for car in cars if car.height < 2)
    )
    recorded(cars=cars)
