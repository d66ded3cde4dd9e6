"""Networks in files of other programs: ONNX, `torch.export`, TorchScript."""

from __future__ import annotations

import io
import json
import logging
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.errors import ModelError, one_line_reason
from geoseg.models.card import Card
from geoseg.models.external_card import (
    CARD_FILE,
    CARD_KEY,
    deepness_facts,
    external_card,
    external_spec,
    read_card_file,
    with_background,
)
from geoseg.models.file_content import read_content, reading
from geoseg.models.named import FOLDER_CARDS
from geoseg.models.onnx_session import INTEGERS, open_session
from geoseg.report import shorten

if TYPE_CHECKING:
    from torch import nn

_MOST_BANDS = 32
"""A last side of so many pixels or fewer, behind no such number of bands, is one of bands."""

_SCRIPTS_OWN = "constants.pkl"
"""A file that TorchScript's archives have, and those of `torch.save` have not."""

SOURCES = {".onnx": "onnx", ".pt2": "torch.export", ".pt": "torchscript", ".ts": "torchscript"}
"""What files hold, by suffix."""


def read_external_card(path: Path, given: Path | None) -> Card:
    """The card of a network in a file.

    Args:
        path: the file.
        given: a card file (YAML), whose facts come before those of the file; None: ``card.yaml``
            beside it, if there is one and geoseg has not written the file.

    Raises:
        ModelError: the file cannot be read, or something is missing.
        ConfigError: the card file is wrong.
    """
    if SOURCES[path.suffix] == "torchscript":
        _refuse_no_script(path)
    beside = [path.with_name(name) for name in FOLDER_CARDS]
    said = given or next((file for file in beside if file.is_file()), None)
    own = {} if said is None else read_card_file(said)
    if SOURCES[path.suffix] == "onnx":
        return _onnx_card(path, own, whole=given is None)
    if SOURCES[path.suffix] == "torch.export":
        card = _program_card(path)
        if card is not None and given is None:
            # An exported program ends in a softmax and takes sides of the network's stride.
            return external_like(card, "torch.export", multiple=card.spec.output_stride or 1)
    return external_card(path, SOURCES[path.suffix], own)


def external_like(card: Card, source: str, multiple: int, side: int | None = None) -> Card:
    """The card of a model that geoseg has exported: of probabilities."""
    spec = external_spec(
        source, len(card.bands), len(card.classes), "probabilities", multiple, side
    )
    return card.model_copy(update={"spec": spec})


@contextmanager
def tracing_quietly() -> Iterator[None]:
    """Without what torch prints and logs of graphs that it cannot trace: its error says it."""
    log = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    was, log.disabled = log.disabled, True
    try:
        with redirect_stderr(io.StringIO()), warnings.catch_warnings(action="ignore"):
            yield
    finally:
        log.disabled = was


def trace_module(module: nn.Module, bands: int, multiple: int, side: int | None) -> bytes:
    """A module as the content of a `torch.export` file, for images of any size that it takes.

    Args:
        module: in eval mode, on the CPU.
        bands: of its images.
        multiple: of which their sides must be.
        side: of its images, where it takes one size only.

    Raises:
        ModelError: it cannot be traced.
    """
    import torch
    from torch.export import Dim, export

    from geoseg.models.graph_ceilings import with_integer_ceilings
    from geoseg.models.graph_checks import without_tensor_checks
    from geoseg.models.same_padding import constant_same_padding

    edge = side or multiple * (max(5, 64 // multiple) | 1)  # odd, see `constant_same_padding`
    axes = {name: multiple * Dim(name, min=1, max=2**16 // multiple) for name in ("rows", "cols")}
    shapes = None if side else ({2: axes["rows"], 3: axes["cols"]},)
    buffer = io.BytesIO()
    try:
        with tracing_quietly(), constant_same_padding(multiple):
            image = torch.zeros(1, bands, edge, edge)
            program = with_integer_ceilings(export(module, (image,), dynamic_shapes=shapes))
            without_tensor_checks(program.graph_module)
            torch.export.save(program, buffer)
    except Exception as error:  # what tracing makes of foreign code has no end
        raise ModelError(
            f"the module cannot be traced, so that no other process can have it "
            f"({one_line_reason(error)}); run it without workers, or give an ONNX file of it"
        ) from error
    return buffer.getvalue()


def load_external_network(source: str, content: bytes, where: str) -> nn.Module:
    """The network of a file's content, on the CPU.

    Args:
        source: what it is; see `SOURCES`.
        content: all bytes of the file.
        where: its name, for messages.

    Raises:
        ModelError: it is damaged, or a package is missing that runs it.
    """
    import torch

    from geoseg.models.graph_checks import without_tensor_checks

    if source == "onnx":
        from geoseg.models.onnx_network import OnnxNetwork

        return OnnxNetwork(content, where)
    try:
        # TorchScript's of its age; of torch 2.11's own way to load tensors.
        with warnings.catch_warnings(action="ignore"):
            if source == "torch.export":
                module: nn.Module = torch.export.load(io.BytesIO(content)).module()
            else:
                jit: Any = torch.jit
                module = jit.load(io.BytesIO(content), map_location="cpu").eval()
        without_tensor_checks(module)
    except Exception as error:  # what torch makes of damaged bytes has no end
        raise ModelError(
            f"{where}: is no {source} file that this torch reads, or is damaged "
            f"({one_line_reason(error)}); copy it again, or write it again with this torch"
        ) from error
    return module


def _onnx_card(path: Path, own: Mapping[str, Any], *, whole: bool) -> Card:
    """The card of an ONNX file; the one that geoseg has written into it where `whole`."""
    session = open_session(read_content(path), str(path))
    metadata = session.get_modelmeta().custom_metadata_map
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        shapes = ", ".join(str(each.shape) for each in inputs)
        raise ModelError(
            f"{path}: takes {len(inputs)} inputs ({shapes}); geoseg runs networks of one image, "
            "(N, bands, H, W)"
        )
    _refuse_bands_last(path, inputs[0].shape)
    images, bands, height, width = (n if isinstance(n, int) else None for n in inputs[0].shape)
    if images not in (None, 1):
        raise ModelError(
            f"{path}: takes {images} images at once; export it for one, or for a free number"
        )
    if CARD_KEY in metadata and whole:
        return external_like(Card.from_json(metadata[CARD_KEY]), "onnx", multiple=1, side=height)
    if height != width:
        raise ModelError(
            f"{path}: takes images of {height} x {width}; geoseg's windows are square: export it "
            "with free or equal sides"
        )
    facts = {**deepness_facts(path, metadata, bands), **own}
    shape = outputs[0].shape
    channels = (1 if len(shape) == 3 else shape[1]) if len(shape) in (3, 4) else None
    if not own.get("output"):
        facts = with_background(facts, channels if isinstance(channels, int) else None)
    if height is not None:
        facts["side"] = height
        facts["overlap"] = min(facts.get("overlap", height // 4), height - 1)
    card = external_card(path, "onnx", facts)
    if bands is not None and bands != len(card.bands):
        raise ModelError(
            f"{path}: takes {bands} bands, its card names {len(card.bands)} "
            f"({shorten(card.bands, 20)}); give --card FILE with the right bands"
        )
    if inputs[0].type in INTEGERS and (any(card.mean) or set(card.std) != {1.0}):
        raise ModelError(
            f"{path}: takes values of type {INTEGERS[inputs[0].type]} as they are; give "
            f"--card FILE with mean: {[0] * len(card.bands)} and std: {[1] * len(card.bands)}"
        )
    return card


def _refuse_bands_last(path: Path, shape: Sequence[Any]) -> None:
    """Refuse a network whose images have their bands behind rows and columns.

    Raises:
        ModelError: it is one.
    """
    second, last = ((isinstance(n, int) and n <= _MOST_BANDS) for n in (shape[1], shape[3]))
    if last and not second:
        raise ModelError(
            f"{path}: takes images of {shape}, whose bands come last; geoseg gives "
            "(N, bands, H, W) and takes (N, classes, H, W): export it so (tf2onnx: "
            "--inputs-as-nchw and --outputs-as-nchw)"
        )


def _refuse_no_script(path: Path) -> None:
    """Refuse what is no TorchScript, before a card is asked for it.

    Raises:
        ModelError: it is something else, such as what `torch.save` writes.
    """
    with reading(path):
        file = path.open("rb")
    try:
        with file, zipfile.ZipFile(file) as archive:
            names = {name.rpartition("/")[2] for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"{path}: is no TorchScript file, or is cut short ({one_line_reason(error)}); copy it "
            "again, or give one that torch.jit.save has written"
        ) from error
    if _SCRIPTS_OWN not in names:
        raise ModelError(
            f"{path}: is no TorchScript file but one of torch.save, which holds no network that "
            "runs by itself; geoseg import makes a model file of a state dict, "
            "torch.jit.trace(module, image).save(FILE) writes a network, geoseg.wrap takes a module"
        )


def _program_card(path: Path) -> Card | None:
    """The card inside an exported program; None where there is none."""
    with reading(path):
        file = path.open("rb")
    try:
        with file, zipfile.ZipFile(file) as archive:
            names = [name for name in archive.namelist() if name.endswith(CARD_FILE)]
            return Card.from_json(archive.read(names[0]).decode()) if names else None
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(
            f"{path}: is no torch.export file, or is cut short ({one_line_reason(error)}); copy it "
            "again, or give one that torch.export.save has written"
        ) from error
