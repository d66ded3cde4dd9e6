"""The tensors that a model file holds of a network."""

from __future__ import annotations

import torch
from torch import Tensor

from geoseg.errors import ModelError
from geoseg.models.external import External
from geoseg.models.segmenter import Segmenter

CONTENT_KEY = "content"
"""The tensor that holds the file of a network of another program."""
Network = Segmenter | External
"""What `geoseg.predict` runs: logits of images, at their size."""


def stored_tensors(net: Network, *, half: bool = False) -> dict[str, Tensor]:
    """Plain copies of a network's tensors, on the CPU: safetensors takes no others.

    Args:
        net: the network; one of another program with the content of its file.
        half: give kernels and matrices as float16. What has one axis stays as it is: variances of
            normalizations may be below what float16 knows.

    Raises:
        ModelError: the network has values that float16 cannot hold, or is another program's.
    """
    # Not as they are: safetensors refuses tensors that share memory or are in channels_last order.
    tensors = {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in _tensors_of(net).items()
    }
    if not half:
        return tensors
    if isinstance(net, External):
        raise ModelError("half: the network is the file of another program; leave half out")
    halved = {
        name: tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor
        for name, tensor in tensors.items()
    }
    for name, tensor in halved.items():
        if not tensor.isfinite().all():
            raise ModelError(
                f"half: tensor {name!r} has values that float16 cannot hold; leave half out"
            )
    return halved


def _tensors_of(net: Network) -> dict[str, Tensor]:
    if not isinstance(net, External):
        return net.state_dict()
    assert net.content is not None  # noqa: S101 - portable networks have it
    return {CONTENT_KEY: torch.frombuffer(bytearray(net.content), dtype=torch.uint8)}
