from __future__ import annotations

from typing import Any

import pytest
import segmentation_models_pytorch as smp

from geoseg.errors import ModelError
from geoseg.models import HEADS, ModelSpec, build_segmenter, systems
from geoseg.models.spec import SMP_SYSTEMS, make_spec, takes_encoder

GOOD: dict[str, Any] = {
    "system": "hcnet",
    "encoder": "resnet18",
    "output_stride": 8,
    "in_channels": 3,
    "classes": 6,
}


def test_systems_are_the_heads_and_the_decoders_of_smp() -> None:
    decoders = {f"smp.{name}" for name in smp.MODEL_ARCHITECTURES_MAPPING}  # a later smp may add
    assert set(systems()) - {*HEADS} <= decoders
    assert {name for name in systems() if name.startswith("smp.")} == set(SMP_SYSTEMS)
    assert {"hcnet", "ocrnet", "fcn", "pixel", "smp.unet"} <= set(systems())


def test_lists_of_a_document_are_the_tuples_of_options() -> None:
    spec = ModelSpec(**{**GOOD, "system": "apcnet"}, options={"scales": [1, 2]})
    assert spec == ModelSpec(**{**GOOD, "system": "apcnet"}, options={"scales": (1, 2)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"system": "hcnett"}, "there is no system 'hcnett'; there are hcnet, ocrnet"),
        ({"in_channels": 0}, "in_channels=0: an image has 1 band or more"),
        ({"classes": 0}, "classes=0: give 1 to 254"),
        ({"classes": 255}, "classes=255: give 1 to 254"),
        (
            {"output_stride": 12},
            r"output_stride=12: give 8, 16 or 32 \(7 or 14 .*\), or leave it out",
        ),
    ],
)
def test_a_spec_that_no_network_can_have_is_refused(change: dict[str, Any], message: str) -> None:
    ModelSpec(**GOOD)
    with pytest.raises(ModelError, match=message):
        ModelSpec(**{**GOOD, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preset": "released"}, "hcnet has no preset 'released'; it has geoseg, paper"),
        ({"options": {"chanels": 1}}, "hcnet has no option 'chanels'"),
        ({"encoder": None}, "hcnet needs an encoder, such as resnet50"),
        ({"system": "pixel"}, "pixel takes the image itself; leave encoder and output_stride out"),
        (
            {"system": "smp.unet", "preset": "paper"},
            "smp.unet has no preset 'paper'; it has geoseg",
        ),
        (
            {"system": "smp.unet", "options": {"norm": "relu"}},
            "smp.unet has no option 'norm'; it has decoder_use_norm",
        ),
    ],
)
def test_choices_that_a_system_does_not_have_are_refused_before_it_is_built(
    change: dict[str, Any], message: str
) -> None:
    ModelSpec(**GOOD).check_choices()
    spec = ModelSpec(**{**GOOD, **change})
    with pytest.raises(ModelError, match=message):
        spec.check_choices()
    with pytest.raises(ModelError, match=message):
        build_segmenter(spec)


@pytest.mark.parametrize("stride", [None, 4, 8, 16, 32])
@pytest.mark.parametrize(("bands", "classes"), [(1, 1), (13, 254)])
def test_all_sizes_that_a_network_can_have_make_a_spec(
    stride: int | None, bands: int, classes: int
) -> None:
    spec = ModelSpec("hcnet", "resnet18", stride, bands, classes)
    assert (spec.output_stride, spec.in_channels, spec.classes) == (stride, bands, classes)


def test_a_system_without_an_encoder_runs_at_stride_1() -> None:
    assert ModelSpec("pixel", None, 1, 3, 6).output_stride == 1
    for encoder, stride in ((None, 8), ("resnet18", None), ("resnet18", 1)):
        with pytest.raises(ModelError, match="pixel takes the image itself; leave encoder and"):
            ModelSpec("pixel", encoder, stride, 3, 6).check_choices()


def test_an_encoder_is_chosen_where_a_system_takes_one() -> None:
    assert [takes_encoder(name) for name in ("hcnet", "smp.unet", "pixel", "nosuch")] == [
        True,
        True,
        False,
        False,
    ]
    assert make_spec("hcnet", classes=2).encoder == "resnet50"
    assert make_spec("smp.unet", classes=2).encoder == "resnet50"
    assert make_spec("hcnet", classes=2, encoder="resnet18").encoder == "resnet18"
    assert make_spec("pixel", classes=2) == ModelSpec("pixel", None, None, 3, 2)
    with pytest.raises(ModelError, match="there is no system 'nosuch'"):
        make_spec("nosuch", classes=2)
