"""Roofs, houses, and the quarters of houses with gardens."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import shapely

from geoseg.scenes import buildings
from geoseg.scenes.buildings import Roof
from geoseg.scenes.grounds import Car, Site, Tree
from geoseg.scenes.town import Box, Layer, Town, random_stream

Record = Callable[..., None]
HOUSE = Box(40.0, -7.0, math.cos(0.3), math.sin(0.3), 13.0, 9.5)
HALL = Box(40.0, -7.0, math.cos(0.3), math.sin(0.3), 45.0, 26.0)


def site_of(seed: int, *cell: int) -> Site:
    """The quarter of a cell, or with one number a street's ground."""
    quarter = cell if len(cell) == 2 else ()
    return Site(Town.from_seed(seed), random_stream(seed, 98, *cell), *quarter)


def roofs_of(site: Site) -> list[Roof]:
    return [thing for thing in site.things if isinstance(thing, Roof)]


def inside(box: Box, outer: Box, margin: float = 0.0) -> bool:
    ground = shapely.Polygon(outer.corners()).buffer(margin + 1e-6, join_style="mitre")
    return bool(ground.covers(shapely.Polygon(box.corners())))


def test_pitched_roofs_carry_chimneys_and_dormers_inside_their_outline(recorded: Record) -> None:
    site = site_of(1, 0)
    groups = []
    for _ in range(250):
        before = len(site.things)
        main = buildings.add_pitched(site, HOUSE, 4.0)
        assert site.things[before] is main
        groups.append(roofs_of(site)[before:])
    for main, *extras in groups:
        assert main.box == HOUSE
        assert main.eaves == 4
        ridge = main.eaves + main.slope * HOUSE.width / 2
        for extra in extras:
            assert inside(extra.box, HOUSE)
            assert extra.kind == "flat"
            assert main.eaves < extra.eaves <= ridge + 0.6 + 1e-9
        for panel in main.panels:
            assert inside(HOUSE.part(panel.u, panel.v, panel.length, panel.width), HOUSE)
    kinds = [group[0].kind for group in groups]
    assert set(kinds) == {"gabled", "hipped"}
    assert 0.6 < kinds.count("gabled") / len(kinds) < 0.8
    assert not any(group[0].panels for group in groups if group[0].kind == "hipped")
    recorded(roofs=site.things)


def test_the_ridge_runs_along_the_longer_side() -> None:
    main = buildings.add_pitched(site_of(1, 0), HOUSE.turned(), 4.0)
    assert main.box == HOUSE.turned().turned()
    assert main.box.length > main.box.width


def test_narrow_houses_have_no_dormers() -> None:
    site = site_of(1, 1)
    for _ in range(60):
        buildings.add_pitched(site, HOUSE._replace(width=8.0), 4.0, kind="gabled")
    assert {roof.box.length for roof in roofs_of(site)} >= {13.0}
    assert not any(roof.box.length == 2.4 for roof in roofs_of(site))


def test_a_given_colour_and_kind_are_kept() -> None:
    main = buildings.add_pitched(site_of(1, 1), HOUSE, 4.0, (9.0, 8.0, 7.0, 6.0), "hipped")
    assert (main.colour, main.kind) == ((9, 8, 7, 6), "hipped")


def test_an_angled_house_has_a_wing_under_the_same_roofing(recorded: Record) -> None:
    site = site_of(2, 0)
    for _ in range(100):
        before = len(site.things)
        buildings.add_angled(site, HOUSE, 5.0)
        main, *_, wing = roofs_of(site)[before:]
        assert (wing.colour, wing.slope, wing.eaves) == (main.colour, main.slope, main.eaves)
        assert wing.kind == main.kind == "gabled"
        assert wing.key != main.key
        assert wing.panels == ()
        assert abs(wing.box.cos * main.box.cos + wing.box.sin * main.box.sin) < 1e-9
        assert wing.box.overlaps(main.box)
    recorded(roofs=site.things)


def test_flat_roofs_carry_machines_and_lights_inside_their_outline(recorded: Record) -> None:
    site = site_of(3, 0)
    small, large = [], []
    for box, group in ((HOUSE, small), (HALL, large)):
        for _ in range(120):
            before = len(site.things)
            buildings.add_flat(site, box, 7.0)
            main, *machines = roofs_of(site)[before:]
            assert (main.kind, main.slope, main.eaves) == ("flat", 0, 7)
            for machine in machines:
                assert inside(machine.box, box, 1.0)
                assert 7.6 <= machine.eaves <= 9.4
            for panel in main.panels:
                assert inside(box.part(panel.u, panel.v, panel.length, panel.width), box)
            group.append((main, machines))
    assert np.mean([len(machines) for _, machines in large]) == pytest.approx(6, abs=0.7)
    assert np.mean([len(machines) for _, machines in small]) == pytest.approx(0.7, abs=0.3)
    metal = [main for main, _ in large if main.seam]
    assert 0 < len(metal) < 40
    assert min(main.colour[0] for main in metal) > 150
    recorded(small=[list(pair) for pair in small], large=[list(pair) for pair in large])


@pytest.mark.parametrize(("length", "width", "panels"), [(12.0, 10.0, False), (12.1, 10.0, True)])
def test_only_flat_roofs_above_120_square_metres_have_skylights(
    length: float, width: float, panels: bool
) -> None:
    site = site_of(3, 5)
    for _ in range(80):
        buildings.add_flat(site, HALL._replace(length=length, width=width), 7.0)
    bright = [panel for roof in roofs_of(site) for panel in roof.panels if panel.colour[0] > 180]
    assert bool(bright) == panels


def test_small_flat_roofs_are_bare() -> None:
    site = site_of(3, 6)
    for _ in range(60):
        buildings.add_flat(site, HALL._replace(length=10.0, width=10.0), 7.0)
    assert not any(roof.panels for roof in roofs_of(site))


def test_roofing_follows_the_taste_of_the_town(recorded: Record) -> None:
    def redness(warmth: float) -> float:
        site = site_of(4, 0)
        site.town = replace(site.town, warmth=warmth)
        colours = np.array([buildings.roofing(site, "pitched")[1] for _ in range(300)])
        return float((colours[:, 1] / colours[:, 3]).mean())

    assert redness(0.8) > 1.3 > 1.1 > redness(0.1)
    site = site_of(4, 1)
    recorded(
        pitched=[buildings.roofing(site, "pitched") for _ in range(300)],
        flat=[buildings.roofing(site, "flat") for _ in range(300)],
    )


def test_a_house_of_a_row_keeps_its_ridge_along_the_row(recorded: Record) -> None:
    site = site_of(5, 0)
    for _ in range(40):
        buildings.add_gabled(site, HOUSE._replace(length=6.0), 5.0, (1.0, 2.0, 3.0, 4.0))
    assert {(roof.box.length, roof.kind, roof.slope) for roof in roofs_of(site)} == {
        (6.0, "gabled", 0.7)
    }
    recorded(roofs=site.things)


@pytest.mark.parametrize("kind", ["detached", "terraced"])
def test_quarters_of_houses_stay_as_recorded(kind: str, recorded: Record) -> None:
    patches, roofs, trees, cars = [], [], [], []
    for place in range(8):
        site = site_of(6 + place, place, 0)
        getattr(buildings, f"build_{kind}")(site)
        ground = shapely.Polygon(site.corners)
        houses = [roof for roof in roofs_of(site) if roof.box.length * roof.box.width > 30]
        assert len(houses) > 4
        assert all(ground.covers(shapely.Polygon(house.box.corners())) for house in houses)
        assert site.patches[0].layer == Layer.GROUND
        patches += site.patches
        roofs += roofs_of(site)
        trees += [thing for thing in site.things if isinstance(thing, Tree)]
        cars += [thing for thing in site.things if isinstance(thing, Car)]
    recorded(patches=patches, roofs=roofs, trees=trees, cars=cars)


def test_a_house_without_room_is_not_built() -> None:
    site = site_of(6, 0, 0)
    lot = site.sides[0].part(60, 0.0, 18.0, 30.0)
    site.reserved.append(lot.part(0, 10, 30, 30))
    buildings.add_house(site, lot, turned=False, fenced=True)
    assert site.things == []
    assert [patch.layer for patch in site.patches] == [Layer.LOT], "its lawn is there all the same"


def test_houses_of_gardens_stay_as_recorded(recorded: Record) -> None:
    sites = []
    for number in range(60):
        site = site_of(number, 0, 0)
        lot = site.sides[0].part(60, 0.0, 18.0, 30.0)
        buildings.add_house(site, lot, turned=number % 2 == 0, fenced=number % 3 == 0)
        sites.append(site)
    recorded(
        things=[site.things for site in sites],
        surfaces=[patch.surface for site in sites for patch in site.patches],
        layers=[patch.layer for site in sites for patch in site.patches],
        places=[patch.corners for site in sites for patch in site.patches],
    )
