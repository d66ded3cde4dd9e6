"""CPU time of stitching and deciding, on tensors and in plain numpy, without any network."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from geoseg.inference.decision import Asked
from geoseg.inference.stitching import Scores, make_stitcher
from geoseg.tiling import Block, TileGrid
from tests.inference import plain_stitching as plain

CPU = torch.device("cpu")


def stitching(folder: Path) -> None:
    """Nanoseconds a pixel of one core at 6, 19 and 150 classes: numpy and tensors, interleaved."""
    torch.set_num_threads(1)
    for classes, width, repeats in ((6, 1280, 5), (19, 1280, 5), (150, 896, 3)):
        (block,) = TileGrid(896, width, 512, 128).blocks(classes=classes)
        logits = torch.randn(1, classes, 512, 512).contiguous(memory_format=torch.channels_last)
        seconds: dict[Callable[[Block, Tensor], None], list[float]] = {_in_numpy: [], _here: []}
        for _ in range(repeats):
            for work, each in seconds.items():
                started = time.process_time()
                work(block, logits)
                each.append((time.process_time() - started) / (896 * width) * 1e9)
        numpy, here = (statistics.median(each) for each in seconds.values())
        print(
            f"{classes} classes: numpy {numpy:.0f}, tensors {here:.0f} ns a pixel, "
            f"ratio {numpy / here:.2f}",
            flush=True,
        )


def _here(block: Block, logits: Tensor) -> None:
    with torch.inference_mode():
        stitcher = make_stitcher(block, logits.shape[1], CPU, Asked())
        for row in block.lattice_rows:
            for column in block.lattice_cols:
                stitcher.add(row, column, Scores(logits[0], logits=True)).isfinite()
            band = block.band(row)
            stitcher.decide(band, torch.ones(band.height, band.width, dtype=torch.bool))


def _in_numpy(block: Block, logits: Tensor) -> None:
    stitcher = plain.make_stitcher(block, logits.shape[1])
    for row in block.lattice_rows:
        for column in block.lattice_cols:
            probabilities = torch.softmax(logits.contiguous(), 1)[0].numpy()
            assert np.isfinite(probabilities.sum(dtype=np.float64))
            stitcher.add(row, column, probabilities)
        band = block.band(row)
        scores, totals = stitcher.finish(band)
        plain.classify(band, scores, totals, np.ones((band.height, band.width), np.bool_))
