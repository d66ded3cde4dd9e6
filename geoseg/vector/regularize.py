"""Right angles for regions of chosen classes; what lies beside them gives way.

The border of each region becomes walls along its main directions and across them
(`geoseg.vector.walls`), with corners where they meet. No point of it is farther from the simplified
border than the tolerance, nor the other way round. Where the new border would leave the tolerance,
cross or touch another one, or change the side on which another one lies, the lines that this wall
stands for stay as they are, and all is fitted anew around them, until nothing is wrong. The lines
as they are have no conflict, so this ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.vector.arcs import Arcs
from geoseg.vector.conflicts import around, meeting
from geoseg.vector.fitted import Fitted, fit, keep, stations_of
from geoseg.vector.lines import Ints
from geoseg.vector.redrawn import Redrawn, redraw
from geoseg.vector.simplify import Metric, lines_of
from geoseg.vector.space import Space
from geoseg.vector.stretches import Stretches, find_nodes, find_owned, find_stretches


@dataclass(frozen=True, slots=True)
class RightAngles:
    """Which regions get right angles, and how far their borders may move for that."""

    classes: tuple[int, ...]
    """Where two of them meet, the one named first goes first."""
    metric: Metric


def regularize(
    arcs: Arcs, class_id: NDArray[np.uint8], height: int, width: int, angles: RightAngles
) -> tuple[Arcs, NDArray[np.bool_]]:
    """Arcs with right angles, in another order, and which of them are of chosen regions.

    Args:
        arcs: drawn ones of a cell.
        class_id: of each region.
        height: of the cell, in the units of the arcs.
        width: likewise.
        angles: what is asked for.
    """
    owned = find_owned(arcs, class_id, angles.classes)
    if not (owned.region >= 0).any():
        return arcs, np.zeros(arcs.left.size, np.bool_)
    nodes = find_nodes(arcs, owned, height, width)
    stretches = find_stretches(arcs, owned, nodes)
    space = Space.of(stretches, angles.metric, (height, width))
    kept = np.zeros(stretches.row.size, np.bool_)
    changed = np.arange(stretches.region.size)
    walls = fit(stretches, space, kept, changed)
    while True:
        drawn = redraw(arcs, owned, nodes, stretches, walls)
        twisted = drawn.twisted(arcs, nodes)
        wrong = _conflicts(stretches, walls, drawn, changed, twisted) & walls.moved
        if not wrong.any():
            return drawn.arcs, drawn.of_walls
        keep(stretches, walls.chosen(wrong), kept)
        changed = np.unique(walls.stretch[wrong])
        same = walls.chosen(~np.isin(walls.stretch, changed))
        walls = Fitted.together([same, fit(stretches, space, kept, changed)])


def _conflicts(
    stretches: Stretches,
    walls: Fitted,
    drawn: Redrawn,
    changed: Ints,
    twisted: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """The walls that are in the way of a line, jump over the end of one, or twist a node.

    Args:
        stretches: of the cell.
        walls: of all of them.
        drawn: the arcs with these walls.
        changed: stretches of which it is not known yet that they agree with all others.
        twisted: lines at whose ends arcs are in another order.
    """
    lines = lines_of(drawn.arcs)
    causes = drawn.causes(lines)
    of_stretch = np.append(np.isin(walls.stretch, changed), False)
    fresh = np.logical_or.reduce(of_stretch[causes])
    bad = meeting(drawn.arcs, lines, drawn.name, fresh) | twisted
    wrong = np.zeros(walls.kind.size + 1, np.bool_)
    wrong[causes[:, bad]] = True
    moved = np.flatnonzero(walls.moved)
    jumping = _jumping(stretches, walls.chosen(moved), drawn)
    wrong[moved[jumping]] = True
    return wrong[:-1]


def _jumping(stretches: Stretches, walls: Fitted, drawn: Redrawn) -> NDArray[np.bool_]:
    """The walls between which and their lines another border has an end."""
    owner, station = stations_of(stretches, walls)
    begins = np.searchsorted(owner, np.arange(walls.kind.size + 1))
    # Back over both ends of the wall.
    after = np.repeat(begins[1:], 2)
    corners = np.stack(
        [
            np.insert(each[station].astype(np.int64), after, np.stack([end, begin]).T.ravel())
            for each, begin, end in (
                (stretches.col, walls.col, walls.end_col),
                (stretches.row, walls.row, walls.end_row),
            )
        ]
    )
    # Also where others were: two that pass one another would end on the wrong sides unseen.
    points, lies_on = (
        np.concatenate([new, old.astype(np.int64)], axis=-1)
        for new, old in (
            (np.stack([drawn.arcs.col, drawn.arcs.row]), np.stack([stretches.col, stretches.row])),
            (drawn.stretch, stretches.number),
        )
    )
    ends = [np.stack(each) for each in ((walls.col, walls.row), (walls.end_col, walls.end_row))]

    def apart(wall: Ints, point: Ints) -> NDArray[np.bool_]:
        foreign: NDArray[np.bool_] = lies_on[point] != walls.stretch[wall]
        for end in ends:
            foreign &= np.logical_or.reduce(points[:, point] != end[:, wall])
        return foreign

    return around(corners, begins + 2 * np.arange(begins.size), points, apart)
