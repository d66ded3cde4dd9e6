"""Transfers where there is nothing to copy: on a CPU."""

from __future__ import annotations

import time

import numpy as np
import torch

from geoseg.inference.transfers import Fetcher, Stopwatch, Uploader

CPU = torch.device("cpu")


def test_on_a_cpu_arrays_and_tensors_share_their_memory() -> None:
    pixels, valid = np.zeros((3, 4, 5), np.uint16), np.ones((4, 5), np.bool_)
    sent = Uploader(CPU).send(pixels, valid).take()
    pixels[1, 2, 3], valid[0, 0] = 9, False
    assert int(sent[0][1, 2, 3]) == 9
    assert [tensor.dtype for tensor in sent] == [torch.uint16, torch.bool]
    assert not bool(sent[1][0, 0])
    tensor = torch.zeros(2, dtype=torch.uint8)
    (fetched,) = Fetcher(CPU).fetch([tensor]).arrays()
    tensor[1] = 7
    assert fetched.tolist() == [0, 7]


def test_a_stopwatch_adds_up_what_is_inside_and_nothing_else() -> None:
    watch = Stopwatch(CPU)
    assert watch.seconds() == 0.0
    for _ in range(2):
        with watch:
            time.sleep(0.02)
    first = watch.seconds()
    time.sleep(0.02)
    assert 0.04 <= first == watch.seconds()
