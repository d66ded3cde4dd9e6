"""Networks that others have built, as geoseg's engine runs its own: images in, logits out."""

from __future__ import annotations

import copy
import hashlib
import math
import uuid
import warnings
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geoseg.errors import ModelError, one_line_reason
from geoseg.models.external_card import OUTPUTS
from geoseg.models.external_file import trace_module
from geoseg.models.external_output import main_tensor, refuse_no_map, shape_advice
from geoseg.models.folding import fold_batch_norms
from geoseg.models.layers import resize
from geoseg.models.spec import ModelSpec
from geoseg.models.traced import graph_of, named_tensors, stored_bytes

_LEAST = 1e-12
"""Probability that stands for none, so that its logarithm is a number."""
_ROUNDING = 1e-3
"""By which a probability may leave 0..1."""
_HALF_ROUNDING = 2e-2
"""By which a sum of probabilities of 16 bits may differ from 1."""
_TRACED = 64
"""Side of the image that a module is traced on, at least, in pixels."""
_EACH = 16
"""Rows and columns between pixels that are looked at once."""
_TRIED = (32, 64)
"""Sides of the image on which it is tried whether a folded network does the same."""
_AGREEMENT = 1e-4
"""Of the largest logit: how far others may be from those before."""


class External(nn.Module):
    """A network of whatever make, in eval mode.

    Args:
        network: in eval mode; takes ``(1, bands, H, W)`` float32 images, standardised by the
            card's mean and std.
        spec: from `external_spec`.
        content: of the file that it came from; None for a module.
        key: says which network it is, in place of its weights and its graph.
    """

    def __init__(
        self,
        network: nn.Module,
        spec: ModelSpec,
        content: bytes | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.training = False
        self.spec = spec
        self.content = content
        self.key = key
        self.stride = self.multiple = int(spec.options["multiple"])
        self._output: str = spec.options["output"]
        self._side: int | None = spec.options["side"]
        self._looked_at = False

    def train(self, mode: bool = True) -> External:  # noqa: ARG002 - exported programs have no modes
        """Itself: it is never trained here, and stays in eval mode."""
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images.

        Args:
            x: ``(N, bands, H, W)`` float32, standardised. Sides are padded by repeating the last
                row and column to multiples of `multiple`, or to the network's fixed side.

        Returns:
            ``(N, classes, H, W)`` float32.

        Raises:
            ModelError: the network fails, or gives something else than its card says.
        """
        # One after the other: kernels may sum in another order in another batch.
        return torch.cat([self._one(image) for image in torch.split(x, 1)])

    def _one(self, image: Tensor) -> Tensor:
        height, width = image.shape[2:]
        if self._side is not None and max(height, width) > self._side:
            raise ModelError(
                f"the network takes images of {self._side} px, not {height} x {width}; "
                f"use --window {self._side}"
            )
        down, right = (
            (-side % self.multiple) if self._side is None else self._side - side
            for side in (height, width)
        )
        padded = F.pad(image, (0, right, 0, down), mode="replicate") if down or right else image
        try:
            given = self.network(padded)
        except (ModelError, torch.cuda.OutOfMemoryError, torch.AcceleratorError):
            raise  # whoever runs batches knows what to do
        except Exception as error:  # what foreign code raises has no end
            raise ModelError(
                f"the network does not run on {tuple(padded.shape)} "
                f"({type(error).__name__}: {one_line_reason(error)}); {self._advice}"
            ) from error
        logits = self._as_logits(main_tensor(given))
        refuse_no_map(logits, *padded.shape[2:])
        return resize(logits, padded.shape[2:])[:, :, :height, :width]

    @property
    def _advice(self) -> str:
        """What to do where the network does not run."""
        kinds = {each.dtype for each in self.network.parameters() if each.is_floating_point()}
        others = ", ".join(sorted(str(each).removeprefix("torch.") for each in kinds))
        if kinds - {torch.float32}:
            return f"its weights are {others}, its images float32: give it as module.float()"
        return (
            "its weights must be float32, and its card must say which bands, window and multiple "
            "it takes; where it takes one size only, window and multiple are that size"
        )

    def _as_logits(self, given: Tensor) -> Tensor:
        """Scores whose softmax is what the network means.

        Raises:
            ModelError: it is not what the card says.
        """
        classes, kind = self.spec.classes, self._output
        if given.ndim == 3:
            given = given[:, None]
        channels = 1 if kind == "labels" else classes
        if kind.startswith("sigmoid") and given.shape[1:2] == (1,) and classes == 2:
            channels = 1
        if given.ndim != 4 or given.shape[1] != channels:
            raise ModelError(
                f"the network gives {tuple(given.shape)}; for {classes} classes and "
                f"output: {kind} its card promises (1, {channels}, H, W); "
                f"{shape_advice(given.shape, channels)}"
            )
        if kind == "labels":
            return self._of_ids(given[:, 0])
        if kind == "logits":
            if not (self._looked_at or torch.compiler.is_compiling()):
                self._looked_at = True
                _refuse_probabilities(given)
            return given.float()
        values = given.float().sigmoid() if kind == "sigmoid-logits" else given.float()
        low, high = float(values.min()), float(values.max())
        if low < -_ROUNDING or high > 1 + _ROUNDING:
            raise ModelError(
                f"the network gives values from {low:.3g} to {high:.3g}, its card promises "
                f"output: {kind}, which lie between 0 and 1; say output: "
                f"{'sigmoid-logits' if kind == 'sigmoid' else 'logits'} in its card"
            )
        if channels < classes:
            values = torch.cat([1 - values, values], 1)
        return values.clamp(min=_LEAST).log()

    def _of_ids(self, ids: Tensor) -> Tensor:
        """Scores that leave no doubt."""
        if ids.is_floating_point() and not torch.equal(ids, ids.round()):
            broken = float(ids[ids != ids.round()][0])
            raise ModelError(
                f"the network gives {broken:.3g}, which is no class id, its card promises output: "
                f"labels; give another output ({', '.join(OUTPUTS)})"
            )
        lowest, highest = int(ids.min()), int(ids.max())
        if lowest < 0 or highest >= self.spec.classes:
            raise ModelError(
                f"the network gives class {lowest if lowest < 0 else highest}, its card names "
                f"{self.spec.classes} classes, counted from 0; name all of them in its card"
            )
        one_hot = F.one_hot(ids.long(), self.spec.classes).permute(0, 3, 1, 2).float()
        return one_hot.clamp(min=_LEAST).log()

    @property
    def identity(self) -> str:
        """Hexadecimal digits of what the network computes: of its file, or its weights and graph.

        A module that cannot be traced has other digits each time, which a warning says: runs that
        were interrupted begin anew. A key of the user's comes first.
        """
        if self.key is not None:
            return hashlib.sha256(self.key.encode()).hexdigest()
        if self.content is not None:
            return hashlib.sha256(self.content).hexdigest()
        try:
            digest = hashlib.sha256(self._graph().encode())
        except Exception as error:  # what tracing makes of foreign code has no end
            warnings.warn(
                f"the module cannot be traced ({one_line_reason(error)}), so nothing says whether "
                "it is the same next time: an interrupted run begins anew, and finished outputs "
                "are not known again; give wrap a key",
                stacklevel=2,
            )
            return uuid.uuid4().hex
        for name, tensor in sorted(named_tensors(self.network)):
            digest.update(name.encode() + stored_bytes(tensor))
        return digest.hexdigest()

    def portable(self) -> External:
        """This network with the content of a file, from which other processes make it.

        Raises:
            ModelError: it is a module that cannot be traced.
        """
        if self.content is not None:
            return self
        options = self.spec.options
        module = (
            copy.deepcopy(self.folded().network).cpu().to(memory_format=torch.contiguous_format)
        )
        content = trace_module(module, self.spec.in_channels, self.multiple, options["side"])
        spec = replace(self.spec, options={**options, "source": "torch.export"})
        return External(self.network, spec, content, self.identity)

    def folded(self) -> External:
        """This network with batch normalizations folded, as geoseg's own are; or itself.

        It is left as it is where it cannot be traced, for then what it does may hang on the image,
        where a key stands for its graph, and where it gives something else afterwards.
        """
        if self.content is not None or self.key is not None:
            return self
        image = torch.randn(
            1, self.spec.in_channels, *_TRIED, generator=torch.Generator().manual_seed(0)
        )
        try:
            self._graph()
            folded = fold_batch_norms(self)
            image = image.to(next(self.parameters()).device)
            with torch.inference_mode():
                before, after = self(image), folded(image)
                if _agree(before, after):
                    return folded
                again = self(image)
        except Exception:  # what foreign code raises has no end; where it matters, the run says it
            return self
        if not _agree(before, again):
            warnings.warn(
                "the network gives something else each time for the same image (dropout that eval "
                "mode does not end?), so labels hang on chance",
                stacklevel=2,
            )
        return self

    def _graph(self) -> str:
        """What the module does to an image."""
        side = self.multiple * math.ceil(_TRACED / self.multiple)
        parameter = next(self.network.parameters(), torch.zeros(0))
        image = torch.zeros(1, self.spec.in_channels, side, side, device=parameter.device)
        return graph_of(self.network, image)


def _agree(one: Tensor, other: Tensor) -> bool:
    return bool((other - one).abs().max() <= _AGREEMENT * one.abs().max())


def _refuse_probabilities(given: Tensor) -> None:
    """Refuse the end of a softmax where the scores before it are promised.

    Raises:
        ModelError: it is one: of several classes none is below 0, and they sum to 1 everywhere.
    """
    if given.shape[1] < 2:
        return
    some = given.detach()[..., ::_EACH, ::_EACH]
    rounding = _ROUNDING if some.dtype == torch.float32 else _HALF_ROUNDING
    off = (some.float().sum(1) - 1).abs()
    if float(some.min()) >= 0 and float(off.max()) <= rounding:
        raise ModelError(
            "the network gives values that sum to 1 over the classes, its card promises output: "
            "logits; say output: probabilities in its card"
        )
