"""Sun, air and camera: from painted colours and heights to grey values."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from geoseg.scenes.canvas import Canvas, Float
from geoseg.scenes.chance import gauss_noise, salt, smooth_noise
from geoseg.scenes.town import Town

TALLEST = 19.0
"""Nothing in a scene casts a longer shadow than a thing of this height would, metres."""
_SKY = np.array((0.25, 0.30, 0.34, 0.40), np.float32)
"""Share of the light on level ground that comes from the sky, a band: shadows are bluish."""


def shadow_steps(town: Town, ground_sampling: float) -> list[tuple[int, int, float]]:
    """Steps of 1, 2, 4, ... pixels towards the sun: (rows, columns, rise of the ray in metres)."""
    reach = TALLEST / town.elevation / ground_sampling
    steps: list[tuple[int, int, float]] = []
    length = 1
    while sum(2**power for power in range(len(steps))) < reach:
        down, across = round(town.sun[1] * length), round(town.sun[0] * length)
        steps.append((down, across, math.hypot(down, across) * ground_sampling * town.elevation))
        length *= 2
    return steps


def shadow_margin(town: Town, ground_sampling: float) -> tuple[int, int, int, int]:
    """Pixels that must be painted beyond a window (top, left, bottom, right) for its shadows to be whole."""
    steps = shadow_steps(town, ground_sampling)
    down, across = sum(step[0] for step in steps), sum(step[1] for step in steps)
    return max(0, -down), max(0, -across), max(0, down), max(0, across)


def cast_shadows(level: Float, town: Town, ground_sampling: float) -> Float:
    """How far each pixel lies in shadow, 0..1.

    A ray from a pixel to the sun rises; the pixel is in shadow where something on its way is higher. The highest
    obstacle over 2k steps is the higher of the first k and the next k, so a few doublings cover the whole way.
    """
    obstacle = level.copy()
    height, width = level.shape
    for down, across, rise in shadow_steps(town, ground_sampling):
        here = (
            slice(max(0, -down), height - max(0, down)),
            slice(max(0, -across), width - max(0, across)),
        )
        there = (
            slice(max(0, down), height - max(0, -down)),
            slice(max(0, across), width - max(0, -across)),
        )
        # The right-hand side is a copy, so what is written below is not read again in this step.
        np.maximum(obstacle[here], obstacle[there] - np.float32(rise), out=obstacle[here])
    obstacle -= level
    obstacle -= np.float32(0.12)
    obstacle *= np.float32(2.0)
    return np.clip(obstacle, 0.0, 1.0, out=obstacle)


def expose(canvas: Canvas, shadow: Float, town: Town) -> Float:
    """``(4, height, width)`` float32 grey values: sunlight and skylight, slow illumination, haze and gain."""
    direct = canvas.shade * (np.float32(1.0) - shadow)
    slow = [
        smooth_noise(salt(town.seed, 20 + band), canvas.y, canvas.x, wavelength)
        for band, wavelength in enumerate((90.0, 130.0, 150.0, 110.0, 170.0))
    ]
    image = np.empty_like(canvas.colour)
    for band in range(4):
        light = direct * (np.float32(1.0) - _SKY[band]) + _SKY[band]
        light *= np.float32(1.0) + np.float32(0.14) * slow[4] + np.float32(0.07) * slow[band]
        light *= canvas.colour[band]
        light *= np.float32(town.gain[band])
        light += np.float32(town.haze[band])
        image[band] = light
    return image


def develop(
    image: Float, rows: NDArray[np.int64], cols: NDArray[np.int64], town: Town
) -> NDArray[np.uint8]:
    """8-bit pixels 1..255 after lens blur and sensor noise; the outermost ring of `image` is used up.

    Args:
        image: ``(4, height + 2, width + 2)`` grey values.
        rows: ``(height,)`` world rows of the result.
        cols: ``(width,)`` world columns of the result.
        town: the camera's facts.
    """
    side, middle = np.float32(0.2), np.float32(0.6)
    noise = gauss_noise(salt(town.seed, 30), rows, cols)
    pixels = np.empty(noise.shape, np.uint8)
    for band, sharp in enumerate(image):
        down = sharp[:-2] + sharp[2:]
        down *= side
        down += middle * sharp[1:-1]
        grey = down[:, :-2] + down[:, 2:]
        grey *= side
        grey += middle * down[:, 1:-1]
        grey += np.float32(town.noise) * noise[band]
        grey += np.float32(0.5)
        pixels[band] = np.clip(grey, 1.0, 255.0, out=grey).astype(np.uint8)
    return pixels
