"""ISNet's head in its authors' names: the map of its classes' vectors is made, pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tests.importing.published import module, over_keys


def conv_norm(cin: int, cout: int, kernel: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(cin, cout, kernel, padding=kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(cout), nn.ReLU()]


def block(cin: int, cout: int, kernel: int = 1) -> nn.Sequential:
    return nn.Sequential(*conv_norm(cin, cout, kernel))


class Context(nn.Module):
    """An attention, and the convolution that adds what it gives."""

    def __init__(self, width: int, keys: int, context: int) -> None:
        super().__init__()
        self.correlate_net = module(
            key_project=nn.Sequential(block(context, keys), block(keys, keys)),
            query_project=nn.Sequential(block(width, keys), block(keys, keys)),
            value_project=block(context, keys),
            out_project=block(keys, width),
        )
        self.bottleneck = block(2 * width, width, 3)

    def attend(self, x: Tensor, context: Tensor) -> Tensor:
        net = self.correlate_net
        query, key = net["query_project"](x), net["key_project"](context)
        value = net["value_project"](context)
        return net["out_project"](over_keys(query, key, value, key.shape[1] ** -0.5))


class ISNet(nn.Module):
    """The released head; `auxiliary_decoder` serves its training."""

    def __init__(self, middle: int, deep: int, width: int, keys: int, classes: int) -> None:
        super().__init__()
        self.bottleneck = block(deep, width, 3)
        self.ilc_net = Context(width, keys, 2 * width)
        self.slc_net = Context(width, keys, width)
        self.decoder_stage1 = nn.Sequential(
            *conv_norm(width, width), nn.Dropout2d(0.1), nn.Conv2d(width, classes, 1)
        )
        self.decoder_stage2 = nn.Sequential(nn.Dropout2d(0.1), nn.Conv2d(width, classes, 1))
        self.auxiliary_decoder = nn.Sequential(
            *conv_norm(middle, width, 3), nn.Dropout2d(0.1), nn.Conv2d(width, classes, 1)
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        x = self.bottleneck(maps[-1])
        mean = x.mean((2, 3), keepdim=True).expand_as(x)
        image = self.ilc_net.attend(x, torch.cat([mean, x], 1))
        fused = self.ilc_net.bottleneck(torch.cat([x, image], 1))
        logits = self.decoder_stage1(x)
        own = self._vector_of_the_class(x, logits)
        semantic = self.slc_net.attend(x, own)
        return self.decoder_stage2(self.slc_net.bottleneck(torch.cat([fused, semantic], 1)))

    def _vector_of_the_class(self, x: Tensor, logits: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        for image in range(len(x)):
            label = logits[image].argmax(0)
            for number in label.unique().tolist():
                here = label == number
                share = logits[image, number][here].softmax(0)
                out[image, :, here] = (x[image][:, here] * share).sum(1, keepdim=True)
        return out
