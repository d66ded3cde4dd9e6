"""Modules are known again by what they do: the same one, and no other."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from geoseg.errors import ModelError
from geoseg.models.external import External
from geoseg.models.external_card import external_spec
from geoseg.models.traced import graph_of, noted_operations

IMAGE = torch.zeros(1, 2, 16, 16)


class Does(nn.Module):
    """A convolution and a step, which a function says."""

    def __init__(self, step: Callable[[Does, Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.step = nn.Conv2d(2, 3, 3), step
        self.plain = torch.tensor([2.0])
        self.kept: Tensor | None = None
        self.register_buffer("hidden", torch.ones(1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.step(self, self.conv(x))


def does(step: Callable[[Does, Tensor], Tensor], **tensors: float) -> Does:
    torch.manual_seed(0)
    module = Does(step).eval()
    for name, value in tensors.items():
        getattr(module, name).fill_(value)
    return module


def keeping(module: Does, x: Tensor) -> Tensor:
    """Makes a grid for the first image, and keeps it for the next of that size."""
    if module.kept is None or module.kept.shape != x.shape[-1:]:
        module.kept = torch.arange(x.shape[-1]) / 10
    return x + module.kept


STEPS: dict[str, Callable[[Does, Tensor], Tensor]] = {
    "relu": lambda _, x: x.relu(),
    "in place": lambda _, x: x.relu_(),
    "gelu": lambda _, x: nn.functional.gelu(x),
    "the other gelu": lambda _, x: nn.functional.gelu(x, approximate="tanh"),
    "twice": lambda _, x: x * 2.0,
    "three times": lambda _, x: x * 3.0,
    "by a constant": lambda m, x: x * m.plain,
    "by a constant of numpy": lambda _, x: x * torch.from_numpy(np.float32([2.0])),
    "by a buffer": lambda m, x: x * m.hidden,
    "by the other side": lambda m, x: m.hidden * x,
    "first of two": lambda _, x: (x.relu(), x.sigmoid())[0],
    "second of two": lambda _, x: (x.relu(), x.sigmoid())[1],
    "whole numbers as places": lambda _, x: x[:, torch.tensor([0, 2])],
    "keeping": keeping,
}


def test_each_function_has_digits_of_its_own_and_a_copy_has_the_same() -> None:
    texts = {name: noted_operations(does(step), IMAGE) for name, step in STEPS.items()}
    assert len(set(texts.values())) == len(STEPS)
    for name, step in STEPS.items():
        module = does(step)
        module(torch.zeros(1, 2, 40, 20))  # what it has run before does not count
        assert noted_operations(copy.deepcopy(module), IMAGE) == texts[name], name


def test_torchs_own_tracer_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.export, "export", None)
    assert "aten.relu" in graph_of(does(STEPS["relu"]), IMAGE)


def identity(module: nn.Module) -> str:
    return External(module, external_spec("module", 2, 3)).identity


def test_constants_and_buffers_that_are_in_no_file_count() -> None:
    for name, step in (("plain", "by a constant"), ("hidden", "by a buffer")):
        one, other = (identity(does(STEPS[step], **{name: value})) for value in (2.0, 3.0))
        assert one == identity(does(STEPS[step], **{name: 2.0})) != other


def test_weights_that_change_in_a_module_that_was_seen_count() -> None:
    net = External(does(STEPS["relu"]), external_spec("module", 2, 3))
    before = net.identity
    assert net.identity == before
    with torch.no_grad():
        next(net.parameters()).add_(1)
    assert net.identity != before


LOOKS: dict[str, Callable[[Does, Tensor], Tensor]] = {
    "a number": lambda _, x: x if float(x.sum()) > 0 else -x,
    "a truth": lambda _, x: x if (x > 0).any() else -x,
    "whether equal": lambda _, x: x if torch.equal(x, x.relu()) else -x,
    "an array": lambda _, x: torch.from_numpy(np.abs(x.detach().numpy())),
    "an array by numpy": lambda _, x: torch.from_numpy(np.abs(np.asarray(x.detach()))),
    "a list": lambda _, x: x if x[0, 0, 0].tolist()[0] > 0 else -x,
    "memory": lambda _, x: x if x.data_ptr() else -x,
    "as many as there are": lambda _, x: x if x.nonzero().shape[0] > 9 else -x,
    "those that are": lambda _, x: x if x[x > 0].shape[0] > 9 else -x,
}


@pytest.mark.parametrize("step", LOOKS.values(), ids=LOOKS)
def test_modules_that_are_shown_values_are_left_to_torch(
    step: Callable[[Does, Tensor], Tensor],
) -> None:
    with pytest.raises(ModelError, match="values"):
        noted_operations(does(step), IMAGE)


def test_what_torch_can_trace_is_traced_by_it() -> None:
    # Of a number that hangs on no image, torch.export knows that.
    texts = [
        graph_of(does(lambda _, x, n=number: x * float(torch.tensor(n))), IMAGE)  # type: ignore[misc]
        for number in (2.0, 2.0, 3.0)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_parts_in_torchscript_are_left_to_torch() -> None:
    scripted = torch.jit.script(nn.Conv2d(2, 3, 1))
    with pytest.raises(ModelError, match="TorchScript"):
        noted_operations(nn.Sequential(scripted).eval(), IMAGE)


def test_a_compiled_module_is_the_one_that_it_was_made_of() -> None:
    module = does(STEPS["relu"])
    compiled = torch.compile(module, backend="eager")
    compiled(IMAGE)
    one, other = (noted_operations(each, IMAGE) for each in (module, compiled))  # type: ignore[arg-type]
    assert one == other.replace("_orig_mod.", "")
