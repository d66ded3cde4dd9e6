"""The model file: one ``.safetensors`` with the network's tensors, and the card in its metadata.

Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from geoseg.classes import ClassScheme
from geoseg.errors import ModelError, one_line_reason
from geoseg.files import write_bytes
from geoseg.models.card import Card
from geoseg.models.cardfile import (
    CARD_KEY,
    damaged_error,
    open_model_file,
    read_card,
    refuse_card,
)
from geoseg.models.checksum import checksum
from geoseg.models.external import External
from geoseg.models.external_file import SOURCES, load_external_network, read_external_card
from geoseg.models.file_content import read_content, read_digest
from geoseg.models.named import model_file
from geoseg.models.parameter_count import count_parameters
from geoseg.models.segmenter import build_segmenter
from geoseg.models.spec import EXTERNAL, ModelSpec
from geoseg.models.stated_facts import stated_facts
from geoseg.models.stored_tensors import CONTENT_KEY, Network, stored_tensors
from geoseg.models.unfilled import RangesHaveValues, Unfilled
from geoseg.report import shorten

_CHECKSUM_KEY = "checksum"
"""The key of the checksum of card and tensors, beside those of the card.

Not in the file's metadata, which safetensors writes in no fixed order: the same network under the
same card is the same file."""


@dataclass(frozen=True)
class Model:
    """A network that is ready to predict, and its card."""

    net: Network
    """In eval mode."""
    card: Card
    digest: str = ""
    """SHA-256 of the file, in hexadecimal digits; empty for a model that was never written."""
    path: Path | None = None
    """Where it was read from."""

    def __repr__(self) -> str:
        """What it is made of and what it tells apart, in a few lines; `net` has the layers."""
        card, spec = self.card, self.card.spec
        on = f" on {spec.encoder}" if spec.encoder else ""
        size = count_parameters(self.net)
        counted = "" if size is None else f", {size:,} parameters"
        sampling = f", {card.ground_sampling:g} m per pixel" if card.ground_sampling else ""
        return (
            f"<geoseg model {self.path or ''}: {spec.system}{on}{counted}\n"
            f" {len(card.classes)} classes: {shorten(card.classes.names, 12)}\n"
            f" bands {', '.join(card.bands)}{sampling}; window {card.window}, "
            f"overlap {card.overlap}>"
        )


def save_model(
    net: Network,
    path: str | Path,
    *,
    classes: Sequence[str] | ClassScheme,
    bands: Sequence[str],
    value_range: Sequence[float] | Sequence[Sequence[float]],
    mean: Sequence[float],
    std: Sequence[float],
    window: int = 512,
    overlap: int = 128,
    ground_sampling: float | None = None,
    colors: Sequence[Sequence[int]] | None = None,
    training: Mapping[str, Any] | None = None,
    license: str | None = None,  # noqa: A002 - the card's own word
    half: bool = False,
) -> Path:
    """Write a network and its card; the file gets its name when it is complete.

    Args:
        net: the network, in any mode, on any device.
        path: where to, ending in ``.safetensors``.
        classes: names of the classes in the order of the logits, or their scheme.
        bands: names of the bands in order.
        value_range: lowest and highest value of the rasters, such as ``(0, 255)``; a pair for each
            band where they differ.
        mean: of each band, in units of the value range.
        std: of each band, in units of the value range.
        window: side in pixels of the windows to predict on.
        overlap: pixels that neighbouring windows share.
        ground_sampling: metres on the ground a pixel.
        colors: RGB of each class, where `classes` are names; made up where left out.
        training: how the weights came about.
        license: terms of use of the weights.
        half: store kernels and matrices as float16, in a file of half the size; see `write_model`.

    Raises:
        ModelError: the facts do not fit the network, or each other.
        OutputError: the file cannot be written.
    """
    if not isinstance(getattr(net, "spec", None), ModelSpec):
        raise ModelError(
            f"{type(net).__name__} is no network that geoseg can save; give one of "
            "geoseg.create_model, or the net of a model (model.net), such as geoseg.wrap gives"
        )
    facts = stated_facts(
        classes=classes, colors=colors, bands=bands, value_range=value_range, mean=mean, std=std
    )
    card = Card(
        spec=net.spec,
        **facts,
        window=window,
        overlap=overlap,
        ground_sampling=ground_sampling,
        training=dict(training or {}),
        license=license,
    )
    return write_model(net, card, path, half=half)


def write_model(net: Network, card: Card, path: str | Path, *, half: bool = False) -> Path:
    """Write a network under an existing card.

    Args:
        net: the network.
        card: its own.
        path: where to, ending in ``.safetensors``.
        half: store kernels and matrices as float16, rounded to 11 bits. What has one axis stays as
            it is: variances of normalizations may be below what float16 knows. Whoever loads the
            file gets float32 and computes in it.

    Raises:
        ModelError: the card is another network's, the name does not end in ``.safetensors``, or
            `half` cannot hold the weights.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ModelError(
            f"{path}: a model file ends in .safetensors; "
            f"name it {path.with_suffix('.safetensors').name}"
        )
    if isinstance(net, External):
        net = net.portable()
        card = card.model_copy(update={"spec": net.spec})
    if card.spec != net.spec:
        raise ModelError(
            "the card describes another network than the one to be saved; "
            "make the card from net.spec"
        )
    tensors = stored_tensors(net, half=half)
    text = card.to_json()
    document = {**json.loads(text), _CHECKSUM_KEY: checksum(tensors, text)}
    write_bytes(path, save(tensors, metadata={CARD_KEY: json.dumps(document)}))
    return path


def load_model(path: str | os.PathLike[str], card: str | os.PathLike[str] | None = None) -> Model:
    """The model of a file, in eval mode on the CPU.

    Args:
        path: a model file, the name of a model that comes with geoseg (``"demo"``), or one of a
            model hub (``"hf://USER/NAME"``), fetched where it is not in the hub's cache. Also a
            network of another program: ``.onnx``, ``.pt2`` (`torch.export`), ``.pt`` (TorchScript),
            or a folder with an ONNX file and ``card.yaml``.
        card: a card file (YAML) for such a network, which says what its file does not.

    Raises:
        ModelError: the file is missing, damaged, no geoseg model, from a newer geoseg, or its
            tensors do not fit its card.
    """
    path = model_file(path)
    if path.suffix in SOURCES:
        return _load_external(path, None if card is None else Path(card))
    with open_model_file(path, framework="pt") as file:
        refuse_card(path, card)
        metadata = file.metadata() or {}
        own = read_card(path, metadata)
        names = file.keys()  # not a mapping
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
        # Before any memory is taken: the card may ask for any width.
        if own.spec.system != EXTERNAL:
            _check_shapes(path, _wanted_shapes(path, own.spec), shapes)
        tensors = {name: file.get_tensor(name) for name in names}
    # Files of other programs and of older versions have no checksum.
    document = json.loads(metadata[CARD_KEY])
    stated = document.pop(_CHECKSUM_KEY, None)
    if stated not in (None, checksum(tensors, json.dumps(document))):
        raise damaged_error(path, "its checksum does not fit")
    digest = read_digest(path)
    if own.spec.system == EXTERNAL:
        return Model(_unpack_external(path, own, tensors), own, digest, path)
    with Unfilled():
        net = build_segmenter(own.spec)
    net.load_state_dict(tensors)
    # With the defaults of options that are younger than the file.
    whole = own.model_copy(update={"spec": net.spec})
    return Model(net.eval(), whole, digest, path)


def _load_external(path: Path, card_file: Path | None) -> Model:
    """A network of another program, from its own file."""
    card = read_external_card(path, card_file)
    content = read_content(path)
    network = load_external_network(str(card.spec.options["source"]), content, str(path))
    net = External(network, card.spec, content)
    return Model(net.eval(), card, hashlib.sha256(content).hexdigest(), path)


def _unpack_external(path: Path, card: Card, tensors: Mapping[str, Tensor]) -> External:
    """A network of another program, from a model file that holds the content of its file.

    Raises:
        ModelError: the file does not hold it.
    """
    if tensors.keys() != {CONTENT_KEY}:
        raise ModelError(f"{path}: lacks the network that its card tells of; save the model again")
    content = tensors[CONTENT_KEY].numpy().tobytes()
    network = load_external_network(str(card.spec.options["source"]), content, str(path))
    return External(network, card.spec, content).eval()


def _wanted_shapes(path: Path, spec: ModelSpec) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of a spec's network, by name; nothing is computed or stored."""
    try:
        spec.check_choices()
        with torch.device("meta"), RangesHaveValues():
            net = build_segmenter(spec)
    except ModelError as error:
        raise ModelError(f"{path}: its network cannot be built: {error}") from error
    except Exception as error:  # decoders of smp check their options no further
        raise ModelError(
            f"{path}: its network cannot be built ({one_line_reason(error)}); "
            "train or save the model again"
        ) from error
    return {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}


def _check_shapes(
    path: Path, wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuse a file whose tensors are not the network's, naming the first that is not."""
    for name, shape in wanted.items():
        if name not in found:
            raise ModelError(f"{path}: lacks tensor {name!r} of its network; save the model again")
        if found[name] != shape:
            raise ModelError(
                f"{path}: tensor {name!r} is {found[name]}, "
                f"its network needs {shape}; save the model again"
            )
    surplus = sorted(found.keys() - wanted.keys())
    if surplus:
        raise ModelError(
            f"{path}: has tensor {surplus[0]!r}, which its network does not; save the model again"
        )
