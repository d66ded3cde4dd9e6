"""Vision transformers of timm: plain ones, whose maps all have the stride of their patches."""

from __future__ import annotations

from typing import Any

import timm
from torch import Tensor, nn

_PLAIN = ("vision_transformer", "deit", "eva")
"""Modules of timm with plain transformers of any image size: ViT, DINO, DINOv2, DINOv3, EVA-02."""
_OF_WINDOWS = ("swin_transformer", "swin_transformer_v2")
"""Modules with transformers that attend within windows."""


def is_plain(name: str) -> bool:
    """Whether an encoder, by smp's name, is a plain vision transformer."""
    return _is_of(name, _PLAIN)


def attends_in_windows(name: str) -> bool:
    """Whether an encoder, by smp's name, is a transformer that attends within windows."""
    return _is_of(name, _OF_WINDOWS)


def size_arguments(name: str) -> dict[str, bool]:
    """What timm has to be told for an encoder to take images of any size.

    Windows are shifted in all stages, however small the image of the first training was.
    """
    return {"strict_img_size": False, "always_partition": True} if attends_in_windows(name) else {}


def _is_of(name: str, modules: tuple[str, ...]) -> bool:
    bare = name.removeprefix("tu-").partition(".")[0]  # a tag names the weights
    return name.startswith("tu-") and timm.models.is_model_in_modules(bare, modules)


class PlainTransformer(nn.Module):
    """The maps of evenly spaced blocks of a plain vision transformer, shallow to deep.

    Each is normalised by the transformer's last layer norm, as where DINOv2's features are used for
    segmentation (Oquab et al. 2023, section 7.4). Learned position embeddings are resized to each
    image's grid of patches (bicubic, as where the transformer was trained on other sizes).
    """

    channels: int
    """Channels of each map."""
    patch: int
    """Side of the patches in pixels, which is the stride of all maps."""

    def __init__(self, name: str, in_channels: int, pretrained: bool, maps: int) -> None:
        super().__init__()
        self.model: Any = timm.create_model(
            name.removeprefix("tu-"),
            in_chans=in_channels,
            pretrained=pretrained,
            num_classes=0,
            dynamic_img_size=True,
        )
        count = len(self.model.blocks)
        # Two maps: of the last block, and of the one at three quarters.
        wanted = [count - 1 - (maps - 1 - place) * (count // 4) for place in range(maps)]
        self.blocks = self.model.prune_intermediate_layers(wanted)
        self.channels = self.model.embed_dim
        self.patch = int(self.model.patch_embed.patch_size[0])

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps ``(N, channels, H/patch, W/patch)`` of an image ``(N, bands, H, W)``."""
        maps: list[Tensor] = self.model.forward_intermediates(
            x, indices=self.blocks, norm=True, intermediates_only=True
        )
        return maps
