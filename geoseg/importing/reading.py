"""A file of another program, read as a network or as an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from geoseg.classes import ClassScheme
from geoseg.errors import ModelError
from geoseg.importing.checkpoint import Checkpoint, open_checkpoint
from geoseg.importing.encoders import ANCHORS
from geoseg.importing.formats import FORMATS, Stated, is_of, read_network
from geoseg.importing.network import build_encoder_alone, build_network
from geoseg.importing.origins import ENCODERS
from geoseg.importing.placing import Entry, Wishes
from geoseg.models import Segmenter
from geoseg.models.encoder import Encoder, HRNetEncoder


def read_model(
    kind: str,
    path: Path,
    stated: Stated,
    wishes: Wishes,
    classes: ClassScheme,
    bands: Sequence[str],
) -> tuple[Segmenter, list[Entry], dict[str, str]]:
    """The network of a file, what became of each tensor, and where it comes from.

    Args:
        kind: one of `NETWORKS`.
        path: of the file or folder.
        stated: what the user says of the network.
        wishes: what the user does without.
        classes: of the card.
        bands: of the card.

    Raises:
        ModelError: it cannot be read, is something else, or does not fit.
    """
    file = open_checkpoint(path)
    if kind in ENCODERS and not is_of(kind, file) and file.has(ANCHORS):
        raise ModelError(
            f"{path}: is an encoder alone, which has no classes; leave --card and its options out "
            "for an encoder file"
        )
    inner, blueprint = read_network(kind, file, stated)
    net, entries = build_network(inner, blueprint, stated, classes, bands, wishes)
    return net, entries, _origin(kind, path, file)


def read_encoder(
    kind: str, path: Path, stated: Stated, wishes: Wishes, *, asked: bool
) -> tuple[Encoder | HRNetEncoder, list[Entry], dict[str, str]]:
    """The encoder of a file, what became of each tensor, and where it comes from.

    Args:
        kind: one of `ORIGINS`.
        path: of the file or folder.
        stated: what the user says of the network.
        wishes: what the user does without.
        asked: whether an encoder was asked for; else the file must hold nothing more.

    Raises:
        ModelError: it cannot be read, is something else, or does not fit.
    """
    file = open_checkpoint(path)
    if kind in FORMATS and (kind not in ENCODERS or is_of(kind, file)):
        if not asked:
            raise ModelError(
                f"{path}: is a whole network; give --card, or --encoder-only for its encoder"
            )
        inner, blueprint = read_network(kind, file, stated)
        encoder, entries = build_encoder_alone(inner, blueprint, stated, wishes)
    else:
        inner = file.unwrapped(ANCHORS, "encoder that geoseg knows by its first convolution")
        encoder, entries = build_encoder_alone(inner, None, stated, wishes)
    return encoder, entries, _origin(kind, path, file)


def _origin(kind: str, path: Path, file: Checkpoint) -> dict[str, str]:
    return {"file": path.name, "as": kind, "sha256": file.digest}
