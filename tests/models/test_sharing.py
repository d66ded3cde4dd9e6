"""What can be made once a pixel: the table of systems and encoders against the networks."""

import pytest
import torch

from geoseg.errors import ModelError
from geoseg.models import HEADS, create_model
from geoseg.models.encoder import build_encoder
from geoseg.models.sharing import CELL_MULTIPLE, sharing
from geoseg.models.spec import SMP_SYSTEMS, ModelSpec, takes_encoder

LOCAL_SMP = ("smp.unet", "smp.unetplusplus", "smp.linknet")


def spec_of(
    system: str, encoder: str = "resnet18", stride: int = 8, **options: object
) -> ModelSpec:
    if not takes_encoder(system):
        return ModelSpec(system, None, 1, 3, 4)
    return ModelSpec(system, encoder, stride, 3, 4, options=options)


@pytest.mark.parametrize("system", HEADS)
def test_all_own_heads_share_and_windows_follow_where_they_have_context(system: str) -> None:
    shared = sharing(spec_of(system))
    assert shared.contextual is HEADS[system].contextual
    assert shared.multiple == (1 if system == "pixel" else 8)


@pytest.mark.parametrize("system", SMP_SYSTEMS)
def test_of_other_decoders_those_share_that_nothing_brings_together(system: str) -> None:
    spec = spec_of(system, stride=32)
    if system in LOCAL_SMP:
        assert not sharing(spec).contextual
        return
    with pytest.raises(ModelError, match=rf"{system} looks at its whole window; use encode window"):
        sharing(spec)


@pytest.mark.parametrize(
    "system", ["smp.unet", *(pytest.param(name, marks=pytest.mark.slow) for name in LOCAL_SMP[1:])]
)
def test_a_decoder_that_shares_is_local(system: str) -> None:
    torch.manual_seed(0)
    options = {} if system == "smp.linknet" else {"decoder_channels": (16, 8, 8, 8, 8)}
    net = create_model(system, encoder="resnet18", classes=3, **options)
    check_far_pixels_change_nothing(net.eval())


@pytest.mark.parametrize("name", ["smp.unet", "smp.unetplusplus"])
def test_a_decoder_with_attention_does_not_share(name: str) -> None:
    with pytest.raises(ModelError, match=f"{name} with decoder_attention_type looks at its whole"):
        sharing(spec_of(name, stride=32, decoder_attention_type="scse"))


def test_maps_that_depend_on_the_windows_size_do_not_share() -> None:
    with pytest.raises(ModelError, match="resizing openseg depends on the window's size; use enc"):
        sharing(spec_of("ocrnet", resizing="openseg"))
    assert sharing(spec_of("ocrnet", resizing="bilinear")).contextual


@pytest.mark.parametrize(
    "name",
    [
        "tu-test_resnet",
        "mobilenet_v2",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("resnet18", "tu-tf_efficientnet_lite0", "tu-hrnet_w18_small")
        ),
    ],
)
def test_an_encoder_that_shares_is_local_and_its_cells_keep_the_phase(name: str) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(name).eval()
    cells = sharing(spec_of("fcn", name, encoder.stride)).cells
    assert cells.size % CELL_MULTIPLE == cells.halo % CELL_MULTIPLE == 0
    assert CELL_MULTIPLE % encoder.multiple == 0
    check_far_pixels_change_nothing(lambda x: encoder(x)[-1])


@pytest.mark.parametrize("system", ["fcn", "ocrnet"])
@pytest.mark.parametrize("encoder", ["tu-test_resnet", "mobilenet_v2"])
def test_maps_lie_as_far_apart_as_the_network_says(system: str, encoder: str) -> None:
    net = create_model(system, encoder=encoder, classes=3, channels=8).eval()
    with torch.no_grad():
        maps = net.encode(torch.zeros(1, 3, 64, 96))
    assert {tuple(x.shape[2:]) for x in maps.values()} == {(64 // net.pitch, 96 // net.pitch)}
    assert net.spec.output_stride % net.pitch == 0


def check_far_pixels_change_nothing(net: torch.nn.Module) -> None:
    x = torch.randn(1, 3, 32, 1600)
    other = x.clone()
    other[..., -32:] += 3.0
    with torch.no_grad():
        before, after = net(x), net(other)
    near = before.shape[3] // 50
    torch.testing.assert_close(after[..., :near], before[..., :near], rtol=0, atol=0)
    assert not torch.equal(after, before)


@pytest.mark.parametrize(
    "encoder", ["efficientnet-b0", "mit_b0", "tu-seresnet50", "tu-resnetv2_50", "tu-resnetrs50"]
)
def test_encoders_that_may_look_further_are_refused_with_those_that_do_not(encoder: str) -> None:
    said = f"encoder {encoder} may look at its whole window; use encode window, or .*ResNet"
    with pytest.raises(ModelError, match=said):
        sharing(spec_of("hcnet", encoder, 32))


def test_a_cell_that_is_given_takes_the_familys_halo() -> None:
    cells = sharing(spec_of("hcnet"), 256).cells
    assert (cells.size, cells.halo) == (256, sharing(spec_of("hcnet")).cells.halo)
