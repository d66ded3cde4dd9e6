"""Any torch module as a model: what geoseg must know about it is given, nothing is guessed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from geoseg.classes import ClassScheme
from geoseg.errors import ModelError, shown
from geoseg.models.card import Card
from geoseg.models.external import External
from geoseg.models.external_card import external_spec, quarter
from geoseg.models.modelfile import Model
from geoseg.models.stated_facts import stated_facts

if TYPE_CHECKING:
    from torch import nn


def wrap(
    module: nn.Module,
    *,
    classes: Sequence[str] | ClassScheme,
    bands: Sequence[str],
    mean: Sequence[float],
    std: Sequence[float],
    value_range: Sequence[float] | Sequence[Sequence[float]],
    window: int = 512,
    overlap: int | None = None,
    ground_sampling: float | None = None,
    colors: Sequence[Sequence[int]] | None = None,
    output: str = "logits",
    multiple: int = 1,
    key: str | None = None,
    license: str | None = None,  # noqa: A002 - the card's own word
) -> Model:
    """A module as a model that `geoseg.predict` takes.

    Args:
        module: takes ``(N, bands, H, W)`` float32 images, ``(values - mean) / std``, and gives one
            tensor, a tuple that begins with it, or a mapping or an object with ``out`` or
            ``logits``: a map of the whole image, at any whole pitch. It is put into eval mode.
        classes: names of the classes in the order of its channels, or their scheme.
        bands: names of the bands in order.
        mean: of each band, in units of the value range.
        std: of each band, likewise.
        value_range: lowest and highest value of the rasters, such as ``(0, 255)``; a pair for each
            band where they differ.
        window: side in pixels of the windows to predict on.
        overlap: pixels that neighbouring windows share; left out, a quarter of the window.
        ground_sampling: metres on the ground a pixel.
        colors: RGB of each class, where `classes` are names; made up where left out.
        output: ``logits``, ``probabilities``, ``sigmoid`` or ``sigmoid-logits`` (of classes that do
            not exclude one another, or of one channel for the second of two classes), ``labels``.
        multiple: of which the sides of its images must be, in pixels; they are padded to it. Of a
            module that takes one size only, it is that size, and so is `window`.
        key: says which weights and code these are, for outputs to be known again and interrupted
            runs to be continued; left out, its weights and operations say it.
        license: terms of use of the weights.

    Raises:
        ModelError: the facts do not fit each other, or `module` is none.
    """
    from torch import nn

    if not isinstance(module, nn.Module):
        raise ModelError(
            f"wrap takes a torch.nn.Module, not {type(module).__name__}; give the path of an ONNX, "
            "TorchScript or torch.export file to geoseg.load_model"
        )
    if any(each.is_meta for each in module.parameters()):
        raise ModelError("the module's weights are on device meta, without values; load them first")
    if not isinstance(key, str | None):
        raise ModelError(f"key {shown(key)}: give a text that names these weights")
    facts = stated_facts(
        classes=classes, colors=colors, bands=bands, value_range=value_range, mean=mean, std=std
    )
    spec = external_spec("module", len(facts["bands"]), len(facts["classes"]), output, multiple)
    card = Card(
        spec=spec,
        **facts,
        window=window,
        overlap=quarter(window) if overlap is None else overlap,
        ground_sampling=ground_sampling,
        license=license,
    )
    return Model(External(module.eval(), spec, key=key), card)
