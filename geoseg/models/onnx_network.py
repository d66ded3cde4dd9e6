"""An ONNX network as a torch module, run by onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoseg.models.onnx_session import INTEGERS, open_session

_FLOATS = {
    "tensor(float16)": np.float16,
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
}


class OnnxNetwork(nn.Module):
    """The first output of an ONNX file, for one image at a time, on as many threads as torch's.

    Args:
        content: all bytes of the file.
        where: its name, for messages.
    """

    def __init__(self, content: bytes, where: str) -> None:
        super().__init__()
        self._content, self._where = content, where
        self._session: Any = None
        self._threads = 0

    def forward(self, image: Tensor) -> Tensor:
        """What the network gives.

        Args:
            image: ``(1, bands, H, W)`` float32 on any device.

        Returns:
            The first output, on the image's device.

        Raises:
            RuntimeError: onnxruntime does not run the image.
        """
        if self._threads != torch.get_num_threads():
            self._threads = torch.get_num_threads()
            self._session = open_session(self._content, self._where, self._threads)
        (entry,) = self._session.get_inputs()
        pixels = _as_type(image.detach().cpu().numpy(), entry.type)
        try:
            (given, *_) = self._session.run(None, {entry.name: np.ascontiguousarray(pixels)})
        except Exception as error:  # its own exceptions have no common class but this
            raise RuntimeError(str(error)) from error
        return torch.from_numpy(np.asarray(given)).to(image.device)


def _as_type(pixels: NDArray[np.float32], name: str) -> NDArray[Any]:
    """The pixels as onnxruntime's type of that name; whole numbers are rounded to."""
    if name in INTEGERS:
        limits = np.iinfo(INTEGERS[name])
        return np.rint(pixels).clip(limits.min, limits.max).astype(limits.dtype)
    return pixels.astype(_FLOATS.get(name, np.float32))
