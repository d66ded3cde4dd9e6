"""The loop that one writes by hand: what geoseg's throughput is compared with.

One window of 512 pixels at a time, fp32, overlap 128, the centre of each window kept, one class
raster out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from rasterio.windows import Window

import geoseg


def predict_by_hand(
    image: Path,
    model_file: Path,
    out: Path,
    window: int = 512,
    overlap: int = 128,
    watch: Callable[[Any], object] = lambda net: None,
) -> None:
    """Write the classes of `image` to `out`; `watch` is given the network."""
    model = geoseg.load_model(model_file)
    net, card = model.net, model.card
    watch(net)
    mean = np.array(card.mean, np.float32)[:, None, None]
    std = np.array(card.std, np.float32)[:, None, None]
    stride, margin = window - overlap, overlap // 2
    with rasterio.open(image) as source:
        profile = {
            "driver": "GTiff",
            "height": source.height,
            "width": source.width,
            "count": 1,
            "dtype": "uint8",
            "crs": source.crs,
            "transform": source.transform,
            "compress": "deflate",
            "tiled": True,
        }
        rows = [*range(0, source.height - window, stride), source.height - window]
        cols = [*range(0, source.width - window, stride), source.width - window]
        with rasterio.open(out, "w", **profile) as target, torch.inference_mode():
            for row in rows:
                for col in cols:
                    pixels = source.read([1, 2, 3], window=Window(col, row, window, window))
                    x = torch.from_numpy((pixels.astype(np.float32) - mean) / std)[None]
                    labels = net(x).argmax(1)[0].numpy().astype(np.uint8)
                    top = 0 if row == 0 else margin
                    left = 0 if col == 0 else margin
                    bottom = window if row == rows[-1] else window - margin
                    right = window if col == cols[-1] else window - margin
                    target.write(
                        labels[top:bottom, left:right],
                        1,
                        window=Window(col + left, row + top, right - left, bottom - top),
                    )
