from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from geoseg.models.context.isnet.class_attention import (
    attend_weighted_by_counts,
    norm_weighted_by_counts,
)
from tests.models.plain.agreement import check_same


def make_norm(
    kind: type[nn.BatchNorm2d] | type[nn.SyncBatchNorm] = nn.BatchNorm2d,
) -> nn.BatchNorm2d | nn.SyncBatchNorm:
    torch.manual_seed(0)
    norm = kind(3).double()
    for parameter in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        nn.init.uniform_(parameter, 0.5, 1.5)
    return norm


def make_vectors(seed: int, images: int, size: int, kinds: int) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors, their counts in a map of `size` positions, and which is at each position."""
    torch.manual_seed(seed)
    x = torch.randn(images, 3, kinds, 1, dtype=torch.float64, requires_grad=True)
    places = (torch.rand(images, size) ** 3 * kinds).long()
    return x, nn.functional.one_hot(places, kinds).sum(1), places


def spread_out(x: Tensor, places: Tensor) -> Tensor:
    """The map ``(N, C, size, 1)``."""
    return x.gather(2, places[:, None, :, None].expand(-1, x.shape[1], -1, -1))


sizes = (st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(2, 30), st.integers(1, 6))


@given(*sizes, st.booleans())
def test_vectors_are_normalised_as_the_map_that_repeats_them(
    seed: int, images: int, size: int, kinds: int, training: bool
) -> None:
    x, counts, places = make_vectors(seed, images, size, kinds)
    one, other = make_norm().train(training), make_norm().train(training)
    found = spread_out(norm_weighted_by_counts(one, x, counts), places)
    check_same(found, other(spread_out(x, places)), [x], floor=1.0)
    torch.testing.assert_close(one.running_mean, other.running_mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(one.running_var, other.running_var, rtol=1e-12, atol=1e-12)


@given(*sizes)
def test_attention_to_vectors_is_attention_to_the_map_that_repeats_them(
    seed: int, images: int, size: int, kinds: int
) -> None:
    x, counts, places = make_vectors(seed, images, size, kinds)
    query = torch.randn(images, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    q, k = (y.flatten(2) for y in (query, spread_out(x, places)))
    weights = (q.transpose(1, 2) @ k / 3**0.5).softmax(2)
    check_same(
        attend_weighted_by_counts(query, x, x, counts),
        (k @ weights.transpose(1, 2)).reshape(query.shape),
        [query, x],
        floor=1e-3,
    )


def test_one_position_is_normalised_by_the_running_statistics_and_leaves_them() -> None:
    x, counts, _ = make_vectors(0, 1, 1, 2)
    norm = make_norm()
    before = norm.running_var.clone()
    found = norm_weighted_by_counts(norm, x, counts)
    assert torch.equal(norm.running_var, before)
    torch.testing.assert_close(found, norm.eval()(x))


def run_process(rank: int, file: str, results: str) -> None:
    """Half of a batch of four."""
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    x, counts, _ = make_vectors(1, 4, 9, 3)
    half = slice(2 * rank, 2 * rank + 2)
    norm = make_norm(nn.SyncBatchNorm)
    out = norm_weighted_by_counts(norm, x[half], counts[half])
    (out**3 * counts[half, None, :, None]).sum().backward()
    torch.save({"out": out.detach(), "grad": x.grad, "var": norm.running_var}, f"{results}{rank}")
    dist.destroy_process_group()


@pytest.mark.slow
def test_a_synchronised_norm_counts_the_positions_of_all_processes(tmp_path: Path) -> None:
    multiprocessing.spawn(run_process, (str(tmp_path / "meet"), str(tmp_path / "result")), nprocs=2)
    parts = [torch.load(tmp_path / f"result{rank}") for rank in range(2)]
    x, counts, _ = make_vectors(1, 4, 9, 3)
    norm = make_norm()
    out = norm_weighted_by_counts(norm, x, counts)
    (out**3 * counts[:, None, :, None]).sum().backward()
    torch.testing.assert_close(torch.cat([part["out"] for part in parts]), out.detach())
    torch.testing.assert_close(parts[0]["grad"] + parts[1]["grad"], x.grad)
    torch.testing.assert_close(parts[1]["var"], norm.running_var)
