"""Quarters, streets and corners: what the cells of a town own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import shapely

from geoseg.scenes import quarters
from geoseg.scenes.buildings import Roof
from geoseg.scenes.grounds import Car, Site, Tree
from geoseg.scenes.quarters import build_corner, build_street, cell_sites, sites_within
from geoseg.scenes.town import Layer, Town, find_node, find_street, random_stream

Record = Callable[..., None]


def site_of(seed: int, *cell: int) -> Site:
    return Site(Town.from_seed(seed), random_stream(seed, 97, *cell), *cell)


def parts(sites: list[Site]) -> dict[str, list[object]]:
    """The contents of sites by kind."""
    things = [thing for site in sites for thing in site.things]
    return {
        "layers": [patch.layer for site in sites for patch in site.patches],
        "places": [patch.corners for site in sites for patch in site.patches],
        "surfaces": [patch.surface for site in sites for patch in site.patches],
        "roofs": [thing for thing in things if isinstance(thing, Roof)],
        "trees": [thing for thing in things if isinstance(thing, Tree)],
        "cars": [thing for thing in things if isinstance(thing, Car)],
    }


KINDS = {
    "perimeter": quarters.build_perimeter,
    "slabs": quarters.build_slabs,
    "commerce": quarters.build_commerce,
    "park": quarters.build_park,
    "field": quarters.build_field,
}


@pytest.mark.parametrize("kind", KINDS)
def test_quarters_stay_as_recorded(kind: str, recorded: Record) -> None:
    sites = []
    for place in range(12):
        site = site_of(20 + place, place, -1)
        KINDS[kind](site)
        sites.append(site)
        private = [thing.box for thing in site.things if isinstance(thing, Roof)]
        ground = shapely.Polygon(site.corners)
        assert all(ground.covers(shapely.Polygon(box.corners())) for box in private)
    recorded(**parts(sites))


def test_parking_leaves_built_ground_free(recorded: Record) -> None:
    sites = []
    for place in range(10):
        site = site_of(3 + place, place, 4)
        front = site.sides[place % 4]
        house = front.part(front.length / 2, 16, 16, 24)
        assert site.reserve(house)
        quarters.add_parking(site, front, 6.0, 1 + place % 2)
        outline = shapely.Polygon(house.corners())
        cars = [thing for thing in site.things if isinstance(thing, Car)]
        for car in cars:
            assert shapely.Polygon(car.box.corners()).distance(outline) > 0
            assert abs(car.box.cos * front.cos + car.box.sin * front.sin) < 0.15, "across the bay"
        assert len(site.reserved) == 2
        sites.append(site)
    recorded(reserved=[site.reserved[1] for site in sites], **parts(sites))


def test_streets_stay_as_recorded(recorded: Record) -> None:
    places = [(axis, i, j) for axis in (0, 1) for i in range(7) for j in range(7)]
    recorded(**parts([build_street(Town.from_seed(31), *place) for place in places]))


def test_a_missing_street_is_empty_ground() -> None:
    town = Town.from_seed(32)
    missing = [
        (axis, i, j)
        for axis in (0, 1)
        for i in range(12)
        for j in range(12)
        if not find_street(town, axis, i, j).width
    ]
    assert missing
    for place in missing:
        site = build_street(town, *place)
        assert (site.patches, site.things) == ([], [])


def test_cars_drive_on_the_right() -> None:
    checked = 0
    for seed in range(5):
        town = Town.from_seed(seed)
        for i in range(8):
            street = find_street(town, 0, i, 0)
            if not street.width:
                continue
            along = np.subtract(street.end, street.start)
            middle = np.add(street.end, street.start) / 2
            for car in build_street(town, 0, i, 0).things:
                if not isinstance(car, Car):
                    continue
                heading = np.array([car.box.cos, car.box.sin])
                aside = np.array([car.box.x, car.box.y]) - middle
                right = -aside @ np.array([along[1], -along[0]]) > 0  # y runs south
                assert right == (heading @ along > 0)
                checked += 1
    assert checked > 50


def test_road_paint_is_for_main_streets() -> None:
    town = Town.from_seed(33)
    for i in range(10):
        for axis in (0, 1):
            site = build_street(town, axis, i, 2)
            painted = any(patch.layer == Layer.MARKING for patch in site.patches)
            assert painted == find_street(town, axis, i, 2).main


def test_corners_stay_as_recorded(recorded: Record) -> None:
    town = Town.from_seed(34)
    sites = [build_corner(town, i, j) for i in range(8) for j in range(8)]
    for number, site in enumerate(sites):
        centre = find_node(town, *divmod(number, 8))
        radii = [np.hypot(*np.subtract(patch.corners, centre).T) for patch in site.patches]
        assert [radius.std() < 1e-6 for radius in radii] == [True] * 3
        pavement, kerb, road = (radius.mean() for radius in radii)
        assert pavement > kerb > road
    recorded(**parts(sites))


def test_all_kinds_of_quarters_occur_as_often_as_their_town_has_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built = []
    names = ("detached", "terraced", "perimeter", "slabs", "commerce", "park", "field")
    assert tuple(build.__name__ for build in quarters._BUILDERS) == tuple(
        f"build_{name}" for name in names
    )
    stubs = tuple(lambda site, kind=kind: built.append(kind) for kind in range(7))
    monkeypatch.setattr(quarters, "_BUILDERS", stubs)
    monkeypatch.setattr(quarters, "build_street", lambda *place: place[1:])
    monkeypatch.setattr(quarters, "build_corner", lambda *place: place[1:])
    town = Town.from_seed(35)
    for i in range(30):
        for j in range(30):
            quarter, across, down, corner = cell_sites(town, i, j)
            assert quarter.corners[0] == find_node(town, i, j)
            assert (across, down, corner) == ((0, i, j), (1, i, j), (i, j))
    assert np.bincount(built) / 900 == pytest.approx(town.mix, abs=0.04)


def test_cells_are_made_once() -> None:
    town = Town.from_seed(36)
    assert cell_sites(town, 0, 0) is cell_sites(town, 0, 0)


def test_cells_stay_as_recorded(recorded: Record) -> None:
    town = Town.from_seed(36)
    cells = [cell_sites(town, i, j) for i in range(-2, 3) for j in range(-2, 3)]
    recorded(**parts([site for cell in cells for site in cell]))


def test_nothing_reaches_further_from_its_cell_than_windows_look() -> None:
    for seed in range(5):
        town = Town.from_seed(seed)
        for i in range(3):
            for j in range(3):
                nodes = [find_node(town, i + a, j + b) for a in (0, 1) for b in (0, 1)]
                cell = shapely.box(*np.min(nodes, axis=0), *np.max(nodes, axis=0))
                for site in cell_sites(town, i, j):
                    corners = [at for patch in site.patches for at in patch.corners]
                    corners += [at for thing in site.things for at in thing.box.corners()]
                    if corners:
                        assert shapely.distance(cell, shapely.points(corners)).max() < 14


def test_the_sites_within_bounds_are_those_of_all_cells_near_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Which sites a cell owns is not the question here.
    monkeypatch.setattr(quarters, "cell_sites", lambda town, i, j: ((i, j),))
    for seed in range(12):
        town = Town.from_seed(seed)
        bounds = (-260.0, 35.0, -120.0, 160.0)
        found = list(sites_within(town, bounds))
        window = shapely.box(*bounds).buffer(14, join_style="mitre")
        expected = set()
        for i in range(-7, 7):
            for j in range(-7, 7):
                nodes = [find_node(town, i + a, j + b) for a in (0, 1) for b in (0, 1)]
                reach = shapely.box(*np.min(nodes, axis=0), *np.max(nodes, axis=0))
                if reach.intersects(window):
                    expected.add((i, j))
        assert set(found) == expected
        assert len(found) == len(expected)


def test_sites_come_in_the_same_order_in_any_bounds() -> None:
    town = Town.from_seed(3)
    small = [id(site) for site in sites_within(town, (0.0, 0.0, 80.0, 80.0))]
    large = [id(site) for site in sites_within(town, (-200.0, -90.0, 300.0, 210.0))]
    assert [site for site in large if site in set(small)] == small
