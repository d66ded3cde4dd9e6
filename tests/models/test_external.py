"""Networks of other programs: what they give is understood as their card says, or refused."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from geoseg.errors import ModelError
from geoseg.models.external import External
from geoseg.models.external_card import external_spec


class Gives(nn.Module):
    """Gives the same whatever it is shown."""

    def __init__(self, given: Any) -> None:
        super().__init__()
        self.given = given

    def forward(self, _: Tensor) -> Any:
        return self.given


def external(given: Any, output: str, classes: int = 3) -> External:
    return External(Gives(given), external_spec("module", 2, classes, output))


IMAGE = torch.zeros(1, 2, 5, 7)
PROBABILITIES = torch.rand(1, 3, 5, 7, generator=torch.Generator().manual_seed(0)).softmax(1)


@pytest.mark.parametrize("as_given", [lambda t: t, lambda t: (t, None), lambda t: {"out": t}])
@pytest.mark.parametrize(
    ("output", "given"),
    [
        ("logits", PROBABILITIES.log() + 3),
        ("probabilities", PROBABILITIES),
        ("labels", PROBABILITIES.argmax(1)),
        ("labels", PROBABILITIES.argmax(1, keepdim=True)),
    ],
)
def test_what_it_gives_becomes_logits_of_the_same_classes(
    output: str, given: Tensor, as_given: Any
) -> None:
    found = external(as_given(given), output)(IMAGE).softmax(1)
    if output == "labels":
        assert torch.equal(found.argmax(1), PROBABILITIES.argmax(1))
        assert found.max(1).values.min() > 0.999
    else:
        torch.testing.assert_close(found, PROBABILITIES)


@pytest.mark.parametrize("axes", [3, 4])
def test_one_channel_is_the_probability_of_the_second_of_two_classes(axes: int) -> None:
    roof = torch.tensor([[[0.1, 0.5, 0.9]]])
    given = roof if axes == 3 else roof[None]
    for output, values in (("sigmoid", given), ("sigmoid-logits", given.logit())):
        found = external(values, output, classes=2)(torch.zeros(1, 2, 1, 3)).softmax(1)
        torch.testing.assert_close(found[0, 1], roof[0])
        torch.testing.assert_close(found[0, 0], 1 - roof[0])


def test_classes_that_do_not_exclude_one_another_keep_their_order() -> None:
    each = torch.tensor([0.2, 0.9, 0.6]).view(1, 3, 1, 1).expand(1, 3, 5, 7)
    found = external(each, "sigmoid")(IMAGE).softmax(1)[0, :, 0, 0]
    torch.testing.assert_close(found, torch.tensor([0.2, 0.9, 0.6]) / 1.7)


def test_smaller_maps_are_brought_to_the_images_size() -> None:
    assert external(torch.rand(1, 3, 2, 3), "logits")(IMAGE).shape == (1, 3, 5, 7)


@pytest.mark.parametrize(
    ("given", "output", "message"),
    [
        (torch.rand(1, 4, 5, 7), "logits", r"gives \(1, 4, 5, 7\); for 3 classes .* right classes"),
        (torch.rand(1, 1, 5, 7), "sigmoid", r"gives \(1, 1, 5, 7\); for 3 classes"),
        (torch.rand(1, 1, 5, 7), "logits", "class ids are output: labels"),
        (
            torch.rand(1, 5, 7, 3),
            "logits",
            r"\(1, 5, 7, 3\); .* \(1, 3, H, W\); its classes come last: .*permute\(0, 3, 1, 2\)",
        ),
        (torch.zeros(1, 5, 7, 1), "labels", "classes come last"),
        (
            PROBABILITIES.bfloat16(),
            "logits",
            "sum to 1 over the classes, .*say output: probabilities",
        ),
        (torch.full((1, 3, 5, 7), 2.0), "probabilities", "from 2 to 2, .*say output: logits"),
        (torch.full((1, 3, 5, 7), -1.0), "sigmoid", "say output: sigmoid-logits"),
        (torch.full((1, 5, 7), 3), "labels", "gives class 3, its card names 3 classes"),
        (torch.full((1, 5, 7), -1), "labels", "gives class -1, its card names 3 classes"),
        (torch.full((1, 5, 7), 0.25), "labels", "gives 0.25, which is no class id, .*another"),
        ([], "logits", "the network gives list; wrap a module that gives one tensor"),
        ({"loss": torch.rand(1)}, "logits", "the network gives dict of loss; .*as out or logits"),
    ],
)
def test_something_else_is_refused_with_what_to_say(given: Any, output: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        external(given, output)(IMAGE)


def test_classes_of_a_whole_image_are_no_map() -> None:
    whole = external(torch.rand(1, 3, 1, 1), "logits")
    assert whole(torch.zeros(1, 2, 64, 64)).shape == (1, 3, 64, 64)
    with pytest.raises(ModelError, match=r"one position, \(1, 3, 1, 1\), for an image of 65 x 70"):
        whole(torch.zeros(1, 2, 65, 70))


class Result(NamedTuple):
    loss: Tensor
    logits: Tensor


def test_an_object_with_logits_gives_them() -> None:
    logits = torch.rand(1, 3, 5, 7)
    given = external(Result(torch.rand(1), logits), "logits")(IMAGE)
    assert torch.equal(given, logits)


@pytest.mark.parametrize("side", [1, 61, 64, 67, 512, 513])
@pytest.mark.parametrize("pitch", [2, 4, 8, 14, 16])
def test_maps_of_the_whole_image_are_taken_at_any_pitch(side: int, pitch: int) -> None:
    image = torch.zeros(1, 2, side, side)
    for positions in {max(1, side // pitch), -(-side // pitch), side // pitch + 1, side * pitch}:
        if positions > 1 or side <= 64:
            net = external(torch.zeros(1, 3, positions, positions), "logits")
            assert net(image).shape[2:] == (side, side)


@pytest.mark.parametrize(("cut", "pitch"), [(2, 1), (4, 1), (184, 1), (2, 8)])
def test_maps_without_the_images_edges_are_refused(cut: int, pitch: int) -> None:
    # U-Net as published gives 388 x 388 for 572 x 572.
    side = 572 if cut == 184 else 512
    image, found = torch.zeros(1, 2, side, side), side // pitch - cut
    for shape in ((found, side), (side, found)):
        with pytest.raises(ModelError, match=rf"{shape[0]} x {shape[1]} for an image of {side} x"):
            external(torch.zeros(1, 3, *shape), "logits")(image)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_named(dtype: torch.dtype) -> None:
    net = External(nn.Conv2d(2, 3, 1).to(dtype), external_spec("module", 2, 3))
    name = str(dtype).removeprefix("torch.")
    with pytest.raises(ModelError, match=rf"its weights are {name}, .*give it as module.float\(\)"):
        net(IMAGE)


def test_a_module_that_hangs_on_chance_is_told_apart() -> None:
    class Chance(nn.Module):
        def __init__(self, *, active: bool) -> None:
            super().__init__()
            self.conv, self.active = nn.Conv2d(2, 3, 1), active

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.dropout(self.conv(x), 0.5, self.active)

    spec = external_spec("module", 2, 3)
    with pytest.warns(UserWarning, match="something else each time for the same image"):
        External(Chance(active=True).eval(), spec).folded()
    with warnings.catch_warnings(action="error"):
        External(Chance(active=False).eval(), spec).folded()


def test_images_are_padded_to_the_multiple_and_cropped_again() -> None:
    class Checked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert x.shape[2] % 8 == x.shape[3] % 8 == 0
            return x

    net = External(Checked(), external_spec("module", 2, 2, multiple=8))
    image = torch.rand(3, 2, 13, 24)
    assert torch.equal(net(image), image)


def test_a_network_of_one_size_is_given_that_size() -> None:
    class Checked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert x.shape[2:] == (16, 16)
            return x

    net = External(Checked(), external_spec("onnx", 2, 2, side=16))
    image = torch.rand(1, 2, 16, 9)
    assert torch.equal(net(image), image)
    with pytest.raises(ModelError, match="takes images of 16 px, not 16 x 17; use --window 16"):
        net(torch.rand(1, 2, 16, 17))


def test_a_network_that_fails_is_named_with_what_it_was_shown() -> None:
    net = External(nn.Conv2d(3, 2, 1), external_spec("module", 2, 2))
    with pytest.raises(ModelError, match=r"does not run on \(1, 2, 5, 7\) .*its card must say"):
        net(IMAGE)


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (KeyError("k"), ModelError, r"does not run on .*\(KeyError: 'k'\); its weights must be"),
        (ZeroDivisionError("two\nlines"), ModelError, r"\(ZeroDivisionError: two\)"),
        (torch.cuda.OutOfMemoryError("full"), torch.cuda.OutOfMemoryError, "full"),
    ],
)
def test_what_a_module_raises_is_one_line_but_what_a_device_says(
    error: Exception, raised: type[Exception], message: str
) -> None:
    class Failing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise error

    with pytest.raises(raised, match=message) as found:
        External(Failing(), external_spec("module", 2, 2))(IMAGE)
    assert "\n" not in str(found.value)


def test_identity_follows_weights_and_graph_and_a_key_comes_first() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 3, 1).eval()
    spec = external_spec("module", 2, 3)
    same = External(conv, spec).identity
    assert External(conv, spec).identity == same
    assert External(nn.Sequential(conv, nn.ReLU()).eval(), spec).identity != same
    keyed = External(conv, spec, key="a").identity
    with torch.no_grad():
        conv.weight += 1
    assert External(conv, spec).identity != same
    assert External(conv, spec, key="a").identity == keyed != External(conv, spec, key="b").identity


def test_a_module_that_cannot_be_traced_is_another_one_each_time_and_says_so(
    capfd: pytest.CaptureFixture[str],
) -> None:
    class Choosing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if float(x.sum()) > 0 else -x

    spec = external_spec("module", 2, 2)
    with pytest.warns(UserWarning, match="cannot be traced .*give wrap a key"):
        first = External(Choosing(), spec).identity
    assert capfd.readouterr() == ("", ""), "torch has more to say"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert External(Choosing(), spec).identity != first
    with pytest.raises(ModelError, match="cannot be traced, so that no other process can have it"):
        External(Choosing(), spec).portable()


def normed(middle: nn.Module | None = None) -> External:
    """A convolution and a normalization that is no identity, perhaps with something between."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(3)
    for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
        nn.init.uniform_(tensor, 0.5, 2.0)  # type: ignore[arg-type]  # it has them all
    layers = [nn.Conv2d(2, 3, 3, padding=1), *([] if middle is None else [middle]), norm]
    return External(nn.Sequential(*layers).eval(), external_spec("module", 2, 3))


def norms(net: External) -> int:
    return sum(isinstance(each, nn.BatchNorm2d) for each in net.modules())


def test_a_module_that_can_be_traced_is_folded_and_stays_as_it_was() -> None:
    net, image = normed(), torch.randn(2, 2, 20, 30)
    before = net(image)
    folded = net.folded()
    assert (norms(net), norms(folded)) == (1, 0)
    torch.testing.assert_close(folded(image), before)
    assert torch.equal(net(image), before)
    assert torch.equal(folded.folded()(image), folded(image))


class Choosing(nn.Module):
    """Looks at the values of the image."""

    def forward(self, x: Tensor) -> Tensor:
        return x if float(x.sum()) > 0 else x + 1


class Small(nn.Module):
    """Takes images of one size that no trial has."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(1, 3, 7, 5)


def test_what_hangs_on_hooks_on_values_or_on_sizes_is_not_folded() -> None:
    net = normed()
    net.network[0].register_forward_hook(lambda *_: None)  # type: ignore[index,operator]
    assert norms(net.folded()) == 1
    assert norms(External(normed().network, net.spec, key="a").folded()) == 1
    for middle in (Choosing(), Small()):
        net = normed(middle)
        assert net.folded() is net


def test_a_module_that_would_do_something_else_when_folded_is_not() -> None:
    class Doubled(nn.Module):
        """Uses its weights without calling the convolution, where the image is small enough."""

        def __init__(self, net: External) -> None:
            super().__init__()
            self.conv, self.norm = net.network.children()

        def forward(self, x: Tensor) -> Tensor:
            if x.shape[2] == 32:
                return self.norm(nn.functional.conv2d(x, 2 * self.conv.weight, padding=1))
            return self.norm(self.conv(x))

    net = External(Doubled(normed()).eval(), normed().spec)
    assert net.folded() is net
