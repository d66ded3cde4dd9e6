"""Attention to, and normalisation of, a map that repeats a few vectors, one for each class.

ISNet's R_sl (16) has the vector of its class at each pixel. The map is never made: its K vectors,
weighted by the counts of the pixels that have them, give the same results.
"""

import torch
import torch.distributed as dist
from torch import Tensor, nn

from geoseg.models.layers import at_least_float32, tokens


def attend_weighted_by_counts(query: Tensor, key: Tensor, value: Tensor, counts: Tensor) -> Tensor:
    """Scaled dot-product attention to a map that has each of K vectors at `counts` positions.

    Equal keys have equal weights, and n_c of them weigh n_c times one:

        sum_j exp(q·k_c(j)) v_c(j) = sum_c n_c exp(q·k_c) v_c = sum_c exp(q·k_c + log n_c) v_c

    Args:
        query: ``(N, d, h, w)``.
        key: ``(N, d, K, 1)``.
        value: ``(N, C, K, 1)``.
        counts: ``(N, K)``; where it is 0, log 0 = -inf gives the weight 0.

    Returns:
        ``(N, C, h, w)``.
    """
    with torch.autocast(query.device.type, enabled=False):
        products = tokens(at_least_float32(query)) @ at_least_float32(key).flatten(2)  # (N, h·w, K)
        relation = products * query.shape[1] ** -0.5
        relation = relation + counts.to(relation.dtype).log().unsqueeze(1)
        context: Tensor = at_least_float32(value).flatten(2) @ relation.softmax(2).transpose(1, 2)
    return context.reshape(query.shape[0], -1, *query.shape[2:]).to(query.dtype)


def norm_weighted_by_counts(
    norm: nn.BatchNorm2d | nn.SyncBatchNorm, x: Tensor, counts: Tensor
) -> Tensor:
    """What `norm` would give on a map that has each of the vectors `x` at `counts` positions.

    In training mode the statistics weight each vector by its count, and the running variance is the
    unbiased one of all n positions: so a few vectors train exactly as the whole map would. A
    synchronised norm counts the positions of all processes.

    Args:
        norm: with affine parameters and running statistics.
        x: ``(N, C, K, 1)``, finite also where the count is 0.
        counts: ``(N, K)``, how many positions have each vector, 0 included.
    """
    if not norm.training:
        normalised: Tensor = norm(x)
        return normalised
    running = dict(norm.named_buffers(recurse=False))
    with torch.autocast(x.device.type, enabled=False):
        values, shares = at_least_float32(x), counts[:, None, :, None]
        n = _over_processes(norm, shares.sum().to(values.dtype))
        mean = _over_processes(norm, (values * shares).sum((0, 2, 3))) / n
        spread = (values - mean[:, None, None]).square() * shares
        variance = _over_processes(norm, spread.sum((0, 2, 3))) / n
        # One position has no variance, see `BatchNorm`; decided without waiting for the device.
        alone = n < 2
        mean = torch.where(alone, running["running_mean"], mean)
        variance = torch.where(alone, running["running_var"], variance)
        with torch.no_grad():
            momentum = norm.momentum or 0.0
            running["running_mean"].lerp_(mean, momentum)
            running["running_var"].lerp_(variance * n / (n - 1).clamp(min=1), momentum)
        scale = norm.weight * torch.rsqrt(variance + norm.eps)
        centered = values - mean[:, None, None]
        return (centered * scale[:, None, None] + norm.bias[:, None, None]).to(x.dtype)


def _over_processes(norm: nn.BatchNorm2d | nn.SyncBatchNorm, x: Tensor) -> Tensor:
    """The sum of `x` over the processes of a synchronised norm, with its gradient; else `x`."""
    if isinstance(norm, nn.SyncBatchNorm) and dist.is_available() and dist.is_initialized():
        from torch.distributed.nn.functional import all_reduce

        group = norm.process_group or dist.group.WORLD
        summed: Tensor = all_reduce(x, group=group)  # type: ignore[no-untyped-call]
        return summed
    return x
