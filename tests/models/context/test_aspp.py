from __future__ import annotations

from dataclasses import asdict

import torch.nn.functional as F

from geoseg.models.context.aspp import ASPPHead
from tests.models.plain.agreement import check_close, make_map


def test_aspp_is_five_branches_of_which_one_is_the_mean() -> None:
    head = ASPPHead((6,), 3, channels=4).double().eval()
    x = make_map(6)
    pyramid = head.pyramid(x)
    assert [branch[0].dilation[0] for branch in head.pyramid.branches] == [1, 12, 24, 36]
    for index, branch in enumerate(head.pyramid.branches):
        check_close(pyramid[:, 4 * index : 4 * index + 4], branch(x))
    check_close(
        pyramid[:, 16:], head.pyramid.image(F.adaptive_avg_pool2d(x, 1)).expand(-1, -1, 5, 7)
    )


def test_presets_and_outputs_are_those_that_model_files_rely_on() -> None:
    assert asdict(ASPPHead.presets["geoseg"]) == {
        "resizing": "own",
        "channels": 256,
        "kernel": 1,
        "rates": (12, 24, 36),
        "smooth": False,
    }
    assert (ASPPHead.name, ASPPHead.stages) == ("aspp", 1)
    assert ASPPHead.aux_weights == {}
