"""Networks and encoders that other programs have trained, as geoseg's own files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.classes import ClassScheme
from geoseg.datasets.class_files import read_classes
from geoseg.errors import ConfigError, shown
from geoseg.failures import begun
from geoseg.given import given_path, refuse_existing
from geoseg.importing.card_facts import card_facts, make_card, scheme_of
from geoseg.importing.origins import ENCODERS, NETWORKS, ORIGINS, weights_file
from geoseg.inference import option_values as values
from geoseg.models.spec import check_system
from geoseg.report import Report
from geoseg.yaml_text import parse_yaml

if TYPE_CHECKING:
    from geoseg.importing.formats import Stated
    from geoseg.importing.placing import Entry, Wishes

_SUFFIX = ".safetensors"


def run(
    file: str | os.PathLike[str],
    origin: str,
    out: str | os.PathLike[str],
    *,
    system: str | None = None,
    encoder: str | None = None,
    output_stride: int | None = None,
    options: Mapping[str, Any] | Sequence[str] = (),
    encoder_only: bool = False,
    leave_out: Sequence[str] = (),
    initial: Sequence[str] = (),
    card: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    **facts: Any,
) -> Report:
    """Make a model file, or an encoder file, of weights that another program has trained.

    Args:
        file: a state dict (``.pth``, ``.safetensors``), or a folder that
            segmentation-models-pytorch's ``save_pretrained`` has written.
        origin: where it comes from, one of `ORIGINS`.
        out: the file to write, ending in ``.safetensors``.
        system: for a state dict of segmentation-models-pytorch: ``smp.unet`` and so on.
        encoder: by smp's or timm's name, where the file does not say it.
        output_stride: of the encoder, where the file does not say it.
        options: of the system, which its tensors do not tell, by name or as ``name=value``.
        encoder_only: write the encoder alone.
        leave_out: beginnings of names of the file's tensors that may be without a use.
        initial: beginnings of names of the network's tensors that may begin at random.
        card: a card file (YAML).
        overwrite: replace what exists.
        facts: of the card, which come before those of its file: ``classes``, ``bands``,
            ``value_range``, ``mean``, ``std``, ``window``, ``overlap``, ``ground_sampling``,
            ``license``.

    Returns:
        What was written, and what became of every tensor.

    Raises:
        ConfigError: an option is wrong, or the card is not complete.
        ModelError: the file is not what `origin` says, or its tensors do not fit.
        OutputError: `out` exists, or cannot be written.
    """
    source, path = Path(given_path("file", file)), Path(given_path("out", out))
    _check(origin, path, overwrite=overwrite)
    weights_file(source)  # what can be is refused before torch is imported
    given = _read_facts(facts)
    carded = bool(given) or card is not None
    alone = encoder_only or (origin in ENCODERS and not carded)
    if carded and (alone or origin not in NETWORKS):
        raise ConfigError(
            "an encoder file has no card; leave --card and its options out"
            + ("" if origin in NETWORKS else " (networks of torchgeo's tasks are --as smp)")
        )
    told = None if alone else card_facts(None if card is None else Path(card), given)
    if system is not None:
        check_system(system)
    choices = _read_options(options)
    from geoseg.importing.formats import Stated
    from geoseg.importing.placing import Wishes

    stated = Stated(system, encoder, output_stride, choices)
    wishes = Wishes(tuple(leave_out), tuple(initial))
    if told is None:
        return _make_encoder(origin, source, path, stated, wishes, asked=encoder_only)
    return _make_model(origin, source, path, stated, wishes, told)


def _make_model(
    origin: str,
    source: Path,
    path: Path,
    stated: Stated,
    wishes: Wishes,
    told: Mapping[str, Any],
) -> Report:
    from geoseg.importing.reading import read_model
    from geoseg.models import write_model

    classes = scheme_of(told)
    bands = [str(band) for band in told["bands"]]
    net, entries, whence = read_model(origin, source, stated, wishes, classes, bands)
    card = make_card(net.spec, told, {"imported": whence})
    with begun():
        write_model(net, card, path)
    spec = net.spec
    facts = {"system": spec.system, "encoder": spec.encoder, "classes": list(classes.names)}
    return _report(path, f"{spec.system} over {spec.encoder}", entries, {**facts, **whence})


def _make_encoder(
    origin: str, source: Path, path: Path, stated: Stated, wishes: Wishes, *, asked: bool
) -> Report:
    from geoseg.importing.encoders import write_encoder
    from geoseg.importing.reading import read_encoder

    encoder, entries, whence = read_encoder(origin, source, stated, wishes, asked=asked)
    facts = {"encoder": stated.encoder, **whence}
    with begun():
        write_encoder(encoder, path, facts)
    what = f"encoder {stated.encoder}; model.encoder_weights of a training takes it"
    return _report(path, what, entries, facts)


def _check(origin: str, path: Path, *, overwrite: bool) -> None:
    """Refuse what makes no sense.

    Raises:
        ConfigError: it is the case.
        OutputError: the output exists.
    """
    if origin not in ORIGINS:
        raise ConfigError(f"--as {origin}: use {', '.join(ORIGINS)}")
    if path.suffix != _SUFFIX:
        raise ConfigError(f"--out {path}: a model file ends in {_SUFFIX}")
    refuse_existing(path, overwrite=overwrite)


def _read_facts(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given for the card, checked one by one."""
    readers: dict[str, values.Reader] = {
        "classes": lambda _, classes: _read_classes(classes),
        "bands": lambda _, bands: [str(band).strip() for band in values.items(bands)],
        "value_range": values.value_range,
        "mean": values.numbers_of(float),
        "std": values.numbers_of(float),
        "window": values.number_of(int),
        "overlap": values.number_of(int),
        "ground_sampling": values.number_of(float),
        "license": lambda _, text: str(text),
    }
    values.refuse_unknown(given, tuple(readers))
    return {name: readers[name](name, value) for name, value in given.items() if value is not None}


def _read_classes(given: Any) -> ClassScheme:
    """A scheme, names that commas separate, or what `read_classes` takes."""
    if isinstance(given, ClassScheme):
        return given
    if isinstance(given, str) and "," in given and not os.path.exists(given):
        return ClassScheme.from_names([name.strip() for name in given.split(",")])
    return read_classes(given)


def _read_options(given: Mapping[str, Any] | Sequence[str]) -> dict[str, Any]:
    """Options of the system by name.

    Raises:
        ConfigError: one is not a name with a value.
    """
    if isinstance(given, Mapping):
        return dict(given)
    pairs = [text.partition("=") for text in given]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise ConfigError(f"--option {shown(name)}: give NAME=VALUE, such as resizing=corners")
    return {name.strip(): parse_yaml(text) for name, _, text in pairs}


def _report(path: Path, what: str, entries: Sequence[Entry], facts: Mapping[str, Any]) -> Report:
    from geoseg.importing.placing import summary, table

    counts = summary(entries)
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    data = {
        "path": str(path),
        **facts,
        "tensors": counts,
        "table": [
            {
                "source": entry.source,
                "target": entry.target,
                "what": entry.what,
                "note": entry.note,
                "tensors": list(entry.tensors),
            }
            for entry in entries
        ],
    }
    return Report("\n".join([*table(entries), f"{path}: {what}", f"tensors: {told}"]), data)
