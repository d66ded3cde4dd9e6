from __future__ import annotations

from dataclasses import asdict

import torch

from geoseg.models.context.fcn import FCNHead
from tests.models.plain.agreement import check_close, make_map


def test_fcn_is_a_3x3_convolution_and_a_classifier() -> None:
    head = FCNHead((4, 6), 3, channels=8, dropout=0.5).double().eval()
    x = make_map(6)
    assert head.reduce[0].weight.shape == (8, 6, 3, 3)
    check_close(head([make_map(4), x]).logits, head.classify.conv(head.reduce(x)))


def test_more_convolutions_follow_and_one_fuses_their_map_with_the_encoders() -> None:
    head = FCNHead((6,), 3, channels=8, convs=3, concat=True, kernel=1).double().eval()
    x = make_map(6)
    again = head.smooth[1](head.smooth[0](head.reduce(x)))
    check_close(head([x]).logits, head.classify(head.fuse(torch.cat([x, again], 1))))
    assert (head.fuse[0].weight.shape, head.radius) == ((8, 14, 1, 1), 0)
    assert FCNHead((6,), 3, channels=8, convs=2, concat=True).radius == 3


def test_dropout_precedes_the_classifier_in_training() -> None:
    head = FCNHead((6,), 3, channels=8, dropout=0.5).double()
    assert head.classify.dropout.p == 0.5
    x = make_map(6)
    assert not torch.equal(head([x]).logits, head([x]).logits)


def test_presets_and_outputs_are_those_that_model_files_rely_on() -> None:
    assert asdict(FCNHead.presets["geoseg"]) == {
        "resizing": "own",
        "channels": 512,
        "convs": 1,
        "kernel": 3,
        "concat": False,
        "dropout": 0.0,
    }
    assert (FCNHead.name, FCNHead.stages) == ("fcn", 1)
    assert FCNHead.aux_weights == {}
