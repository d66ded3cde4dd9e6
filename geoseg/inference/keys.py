"""Keys: a few digits that change when anything does that decides what they stand for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch

from geoseg.models import Model


def key_of(facts: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that change when any of these facts does."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def weights_digest(model: Model) -> str:
    """Hexadecimal digest of a model's card and weights as they are now, whatever file they came from."""
    digest = hashlib.sha256(model.card.to_json().encode())
    for name, tensor in sorted(model.net.state_dict().items()):
        digest.update(name.encode())
        digest.update(
            tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        )
    return digest.hexdigest()
