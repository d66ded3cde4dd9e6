from __future__ import annotations

import pytest
import torch
from torch import Tensor

from geoseg.errors import ModelError
from geoseg.importing.placing import Placing, Wishes, summary, table
from geoseg.importing.rules import Rule, conv_bn, first_last

NORM = ("weight", "bias", "running_mean", "running_var")


def of_block(name: str, *, bias: bool) -> dict[str, Tensor]:
    conv = {f"{name}.0.weight": torch.randn(2, 4, 1, 1)}
    conv |= {f"{name}.0.bias": torch.randn(2)} if bias else {}
    return conv | {f"{name}.1.{part}": torch.rand(2) for part in NORM}


def test_every_tensor_of_both_sides_is_accounted_for() -> None:
    wanted = {**of_block("net", bias=False), "net.1.num_batches_tracked": torch.tensor(7)}
    found = {**of_block("file", bias=True), "file.2.num_batches_tracked": torch.tensor(3)}
    rules = [*first_last("file", "net", ("0", "1"), 1)]
    placing = Placing("a.pth", "net", wanted, Wishes())
    placed = placing.place(found, [*rules, Rule("file.2", "net.2")])
    assert placed.keys() == wanted.keys()
    assert torch.equal(placed["net.0.weight"], found["file.0.weight"][:, [1, 2, 3, 0]])
    mean = found["file.1.running_mean"] - found["file.0.bias"]
    assert torch.equal(placed["net.1.running_mean"], mean)
    assert placed["net.1.num_batches_tracked"] == 0
    told = [name for entry in placing.entries() for name in entry.tensors]
    assert sorted(told) == sorted(found)
    counts = {"used": 4, "changed": 1, "folded": 1, "left out": 1, "initial": 0}
    assert summary(placing.entries()) == counts
    assert table(placing.entries()) == [
        "in the file            in the network      tensors",
        "file.0.weight          net.0.weight              1"
        "  changed: input channels in the network's order",
        "file.0.bias            net.1.running_mean        1  folded: a bias before a norm",
        "file.1                 net.1                     4  used",
        "*.num_batches_tracked  -                         1"
        "  left out: step counters of normalisations",
    ]


def test_numbers_of_another_kind_become_the_networks() -> None:
    wanted = of_block("net", bias=False)
    found = {name.replace("net", "f"): x.half() for name, x in wanted.items()}
    placed = Placing("a", "net", wanted, Wishes()).place(found, conv_bn("f", "net", ("0", "1")))
    assert {tensor.dtype for tensor in placed.values()} == {torch.float32}


def test_what_is_wrong_is_said_by_the_first_and_the_number_of_the_others() -> None:
    wanted = of_block("net", bias=False)
    rules = list(conv_bn("f", "net", ("0", "1")))

    def message_of(found: dict[str, Tensor]) -> str:
        with pytest.raises(ModelError) as caught:
            Placing("a.pth", "net", wanted, Wishes()).place(found, rules)
        return str(caught.value)

    whole = of_block("f", bias=False)
    other = {**whole, "f.0.weight": torch.zeros(2, 3, 1, 1)}
    assert message_of(other).startswith(
        "a.pth: 'f.0.weight' is (2, 3, 1, 1), 'net.0.weight' of net is (2, 4, 1, 1); give"
    )
    more = {**other, "g.weight": torch.zeros(1), "h": torch.zeros(1)}
    assert message_of(more).startswith(
        "a.pth: 'g.weight' and 1 more tensor are of no layer of net; give"
    )
    rules.append(Rule("h", "net.0.weight"))
    twice = {**whole, "h": torch.zeros(2, 4, 1, 1)}
    assert message_of(twice).startswith("a.pth: 'h' is a second tensor for 'net.0.weight' of net")
    fewer = {name: x for name, x in whole.items() if not name.startswith("f.1")}
    assert message_of(fewer) == (
        "a.pth: 'net.1.weight' and 3 more tensors are of net but not in the file; give the "
        "--encoder and --option of the file's network, or begin at random by --initial net.1"
    )
