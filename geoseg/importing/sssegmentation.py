"""ISNet as its authors' code has it.

Source: SegmentationBLWX/sssegmentation, ``ssseg/modules/models/segmentors/isnet``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from geoseg.importing.blueprint import Blueprint, width_of
from geoseg.importing.rules import Rule, numbered

ANCHORS = ("ilc_net.correlate_net.out_project.0.weight",)
_DEEP = "auxiliary_decoder"


def read(tensors: Mapping[str, Tensor]) -> Blueprint:
    """ISNet."""
    deep = f"{_DEEP}.4.weight" in tensors
    options = {
        "channels": width_of(tensors, "bottleneck.0.weight"),
        "key_channels": width_of(tensors, "ilc_net.correlate_net.out_project.0.weight", 1),
        "deep": deep,
    }
    return Blueprint(
        "isnet",
        "decoder_stage2.1.weight",
        tuple(_rules(deep=deep)),
        "backbone_net",
        preset="released",
        options=options,
        basic_blocks=False,
    )


def _rules(*, deep: bool) -> Iterator[Rule]:
    yield from numbered("bottleneck", "head.reduce")
    for number, (net, context) in enumerate((("ilc_net", "image"), ("slc_net", "semantic"))):
        source, target = f"{net}.correlate_net", f"head.{context}.project"
        for convolution in range(2):
            query = f"query_project.{convolution}"
            yield from numbered(f"{source}.{query}", f"{target}.query.{convolution}")
        yield from numbered(f"{source}.key_project.0", f"{target}.key_in")
        yield from numbered(f"{source}.key_project.1", f"{target}.key")
        yield from numbered(f"{source}.value_project", f"{target}.value")
        yield from numbered(f"{source}.out_project", f"{target}.out")
        yield from numbered(f"{net}.bottleneck", f"head.fuse.{number}")
    yield from numbered("decoder_stage1", "head.semantic.classify.0")
    yield Rule("decoder_stage1.4", "head.semantic.classify.1.conv")
    yield Rule("decoder_stage2.1", "head.classify.conv")
    if deep:
        yield from numbered(_DEEP, "head.deep.0")
        yield Rule(f"{_DEEP}.4", "head.deep.1.conv")
