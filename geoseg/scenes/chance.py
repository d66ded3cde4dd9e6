"""Random numbers that belong to places: the same seed and the same spot always give the same value.

Two kinds. A `stream` is a generator for one cell of the world, in which a handful of objects are thrown. Noise fields
are hashed pixel by pixel or lattice point by lattice point, so that any window of a field can be computed alone and
equals the same window of any larger one, bit for bit (only +, -, *, comparisons and table look-ups are used).
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_MASK = 0xFFFFFFFF
_GAUSS = np.array([NormalDist().inv_cdf((step + 0.5) / 256) for step in range(256)], np.float32)


def stream(seed: int, *place: int) -> np.random.Generator:
    """The generator of one place of one world; `place` may hold negative numbers."""
    return np.random.default_rng([part & _MASK for part in (seed, seed >> 32, *place)])


def salt(seed: int, purpose: int) -> int:
    """A 32-bit key that keeps the noise fields of one seed apart."""
    mixed = (seed * 0x9E3779B97F4A7C15 + (purpose + 1) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ mixed >> 31) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return mixed >> 32


def hashed(key: int, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.uint32]:
    """``(len(rows), len(cols))`` well mixed 32-bit numbers of integer positions (multiply-xorshift rounds)."""
    down = (rows * 0x85EBCA77 + key & _MASK).astype(np.uint32)
    across = (cols * 0x9E3779B1 & _MASK).astype(np.uint32)
    mixed = down[:, None] ^ across[None, :]
    for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
        mixed ^= mixed >> np.uint32(shift)
        mixed *= np.uint32(factor)
    mixed ^= mixed >> np.uint32(15)
    return mixed


def smooth_noise(
    key: int, y: NDArray[np.float64], x: NDArray[np.float64], wavelength: float
) -> NDArray[np.float32]:
    """Value noise on a lattice `wavelength` apart: ``(len(y), len(x))`` float32 in [-1, 1], mean 0."""
    row, down = _lattice_steps(y, wavelength)
    col, across = _lattice_steps(x, wavelength)
    rows = np.arange(row[0], row[-1] + 2)
    cols = np.arange(col[0], col[-1] + 2)
    knots = (hashed(key, rows, cols) >> np.uint32(8)).astype(np.float32) * np.float32(
        2.0**-23
    ) - np.float32(1.0)
    upper = knots[row - row[0]]
    lines = upper + (knots[row - row[0] + 1] - upper) * down[:, None]
    left: NDArray[np.float32] = np.take(lines, col - col[0], axis=1)
    right: NDArray[np.float32] = np.take(lines, col - col[0] + 1, axis=1)
    right -= left
    right *= across[None, :]
    left += right
    return left


def gauss_noise(key: int, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.float32]:
    """Four independent unit normal fields ``(4, len(rows), len(cols))`` float32, one value a pixel."""
    octets = hashed(key, rows, cols).view(np.uint8).reshape(len(rows), len(cols), 4)
    return np.stack([np.take(_GAUSS, octets[:, :, band]) for band in range(4)])


def _lattice_steps(
    positions: NDArray[np.float64], wavelength: float
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The lattice cell of each position, and how far (smoothstep) it lies towards the next knot."""
    scaled = positions / wavelength
    cell = np.floor(scaled)
    part = scaled - cell
    return cell.astype(np.int64), (part * part * (3.0 - 2.0 * part)).astype(np.float32)
