"""A model as a folder that a model hub takes: weights, config, and a card that people read."""

from __future__ import annotations

import json
import re
from pathlib import Path

from geoseg.errors import ModelError
from geoseg.files import write_bytes, write_text
from geoseg.models import Card, Model, write_model
from geoseg.models.file_content import read_content, reading
from geoseg.models.hub import HUB_FILE
from geoseg.unwritable import naming_file
from geoseg.value_ranges import ranges_words

_LICENSES = re.compile(
    r"apache-2\.0|mit|bsd-[23]-clause|[al]?gpl-3\.0|cc0-1\.0|cc-by(-nc)?(-sa)?-4\.0"
)
"""Those that hubs know by SPDX's identifiers, in small letters, and that models often have."""


def write_folder(model: Model, folder: Path) -> None:
    """Write the folder: ``model.safetensors`` as it is, ``config.json`` and ``README.md``.

    Args:
        model: read from a file.
        folder: where to; made where it is missing.

    Raises:
        ModelError: the model was never written to a file.
        OutputError: the folder cannot be written.
    """
    if model.path is None:
        raise ModelError("the model is in no file yet; save it first, then export it")
    with naming_file(folder):
        folder.mkdir(parents=True, exist_ok=True)
    config = {"library_name": "geoseg", **json.loads(model.card.to_json())}
    write_text(folder / "config.json", json.dumps(config, indent=1, ensure_ascii=False) + "\n")
    write_text(folder / "README.md", model_card(model.card))
    target = folder / HUB_FILE
    if model.path.suffix != target.suffix:  # another program's, which a model file can hold
        write_model(model.net, model.card, target)
        return
    with reading(model.path):
        in_place = target.exists() and target.samefile(model.path)
    if not in_place:
        write_bytes(target, read_content(model.path))


def model_card(card: Card) -> str:
    """The text of ``README.md``: what the model takes, gives, and where it comes from."""
    spec = card.spec
    on = "" if spec.encoder is None else f" over `{spec.encoder}`"
    head = {
        "library_name": "geoseg",
        "pipeline_tag": "image-segmentation",
        "tags": ["remote-sensing", "semantic-segmentation", spec.system],
        **_license(card.license),
    }
    front = "\n".join(f"{name}: {json.dumps(value)}" for name, value in head.items())
    sampling = "not stated" if card.ground_sampling is None else f"{card.ground_sampling:g} m"
    colors = "\n".join(
        f"| {value} | {name} | {', '.join(map(str, color))} |"
        for value, (name, color) in enumerate(
            zip(card.classes.names, card.classes.colors, strict=True)
        )
    )
    training = "\n".join(f"- {name}: {value}" for name, value in card.training.items())
    return f"""---
{front}
---

# {spec.system}{on}: {", ".join(card.classes.names)}

A segmentation model for orthophotos, made with geoseg.

| takes | |
|---|---|
| bands, in this order | {", ".join(card.bands)} |
| values | {ranges_words(card.value_range)} |
| ground sampling | {sampling} |
| windows | {card.window} px, {card.overlap} px of overlap |
| licence | {card.license or "not stated"} |

| value | class | colour |
|---|---|---|
{colors}

## Training

{training or "Not stated."}

## Use

```python
import geoseg

geoseg.predict("orthophotos/", "hf://USER/NAME", out="out")
```
"""


def _license(text: str | None) -> dict[str, str]:
    """A licence as hubs take it: by an identifier of theirs, in small letters, or as another."""
    if text is None:
        return {}
    name = re.sub(r"[^a-z0-9.-]+", "-", text.lower())
    return (
        {"license": name}
        if _LICENSES.fullmatch(name)
        else {"license": "other", "license_name": name}
    )
