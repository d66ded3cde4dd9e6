"""Dilated depthwise convolutions as plain ones on the phases of the map: faster on a CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PhasedConv2d(nn.Conv2d):
    """A dilated depthwise convolution that a CPU runs over each of the map's phases by itself.

    A dilated filter only ever joins positions that lie a multiple of the dilation d apart. So
    position (d·i + a, d·j + b) goes to place (i, j) of map (a, b), and the same filter without
    dilation runs over these d² smaller maps: the same products and sums (the "à trous" algorithm;
    DeepLab, Chen et al. 2018, 3.1). With d = 2, the letters being phases::

        a b a b a b        a a a   b b b
        c d c d c d   ->   a a a   b b b   and so on for c and d
        a b a b a b
        c d c d c d

    CPU libraries have fast kernels for depthwise filters without dilation only. Elsewhere, and in
    an exported graph, the convolution is PyTorch's own. The weights and their names are those of
    `nn.Conv2d`.
    """

    def forward(self, x: Tensor) -> Tensor:
        """The filtered map, of the size of the map ``(N, C, H, W)``, which is padded with zeros."""
        if (
            x.device.type != "cpu"
            or torch.compiler.is_exporting()
            or torch.onnx.is_in_onnx_export()
        ):
            return super().forward(x)
        (n, c, h, w), d = x.shape, self.dilation[0]
        # Up to whole phases, with zeros, which the convolution itself takes beyond the border.
        x = F.pad(x, (0, -w % d, 0, -h % d))
        rows, columns = x.shape[2] // d, x.shape[3] // d
        # Channels last throughout: whole rows of channels move, and the layout that convolutions
        # have on a CPU is kept.
        phases = x.permute(0, 2, 3, 1).reshape(n, rows, d, columns, d, c).permute(0, 2, 4, 1, 3, 5)
        phases = phases.reshape(n * d * d, rows, columns, c).permute(0, 3, 1, 2)
        padding = (self.kernel_size[0] // 2, self.kernel_size[1] // 2)
        y = F.conv2d(phases, self.weight, self.bias, padding=padding, groups=self.groups)
        y = y.permute(0, 2, 3, 1).reshape(n, d, d, rows, columns, c).permute(0, 3, 1, 4, 2, 5)
        return y.reshape(n, rows * d, columns * d, c).permute(0, 3, 1, 2)[:, :, :h, :w]


def replace_dilated_convolutions(model: nn.Module) -> None:
    """Put a `PhasedConv2d` of the same parameters in place of dilated depthwise convolutions."""
    for name, module in model.named_children():
        if isinstance(module, nn.Conv2d) and _is_dilated_depthwise(module):
            setattr(model, name, _phased(module))
        else:
            replace_dilated_convolutions(module)


def _is_dilated_depthwise(module: nn.Conv2d) -> bool:
    """Whether `PhasedConv2d` computes it: one filter per channel, and the map keeps its size."""
    return (
        type(module) is nn.Conv2d
        and module.groups == module.in_channels == module.out_channels > 1
        and module.stride == (1, 1)
        and module.dilation[0] == module.dilation[1] > 1
        and module.padding_mode == "zeros"
        and all(size % 2 for size in module.kernel_size)
        and module.padding == tuple(module.dilation[0] * (size // 2) for size in module.kernel_size)
    )


def _phased(conv: nn.Conv2d) -> PhasedConv2d:
    phased = PhasedConv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]
        padding=conv.padding,  # type: ignore[arg-type]
        dilation=conv.dilation,  # type: ignore[arg-type]
        groups=conv.groups,
        bias=conv.bias is not None,
        device="meta",
    )
    phased.weight, phased.bias = conv.weight, conv.bias
    return phased.train(conv.training)
