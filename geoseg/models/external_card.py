"""The card of a network of another program: from what its file says, and what the user says.

Files say it as Deepness (QGIS) does, or as geoseg's own exports. What is missing is never guessed.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geoseg.classes import ClassScheme
from geoseg.errors import ConfigError, ModelError, one_line_reason, shown
from geoseg.models.card import Card
from geoseg.models.spec import EXTERNAL, ModelSpec
from geoseg.models.stated_facts import facts_of_bands
from geoseg.report import shorten
from geoseg.yaml_files import read_yaml

OUTPUTS = ("logits", "probabilities", "sigmoid", "sigmoid-logits", "labels")
"""What a network gives: of each class a score before the softmax, or a probability; the same of
classes that do not exclude one another, or of one class against its background; or class ids."""
CARD_KEY, CARD_FILE = "geoseg_card", "geoseg_card.json"
"""Where exported models hold their cards."""
NEEDED = ("classes", "bands", "value_range", "mean", "std")
_EXAMPLES = {
    "classes": "[road, roof]",
    "bands": "[red, green, blue]",
    "value_range": "[0, 255]",
    "mean": "[0, 0, 0]",
    "std": "[255, 255, 255]",
}
_OPTIONAL = (
    *("window", "overlap", "ground_sampling", "output", "multiple", "license"),
    "side",
)
_SEGMENTOR = "Segmentor"
_WHITE = 255
"""By which Deepness divides, so what its images hold at most."""
_BACKGROUND = "background"
_OVERLAP = 25
"""Per cent of a tile, where nothing says it."""


def external_spec(
    source: str,
    bands: int,
    classes: int,
    output: str = "logits",
    multiple: int = 1,
    side: int | None = None,
) -> ModelSpec:
    """What is known of a network that geoseg does not build.

    Args:
        source: what it is: ``module``, ``onnx``, ``torchscript``, ``torch.export``.
        bands: of its images.
        classes: that its card names.
        output: one of `OUTPUTS`.
        multiple: of which the sides of its images must be, in pixels.
        side: of its images, in pixels, where it takes one size only.

    Raises:
        ModelError: a value has no sense.
    """
    if output not in OUTPUTS:
        raise ModelError(f"output {shown(output)}: use {', '.join(OUTPUTS)}")
    for name, value in (("multiple", multiple), ("side", side)):
        if value is not None and (type(value) is not int or value < 1):
            raise ModelError(f"{name} {value!r}: give 1 pixel or more")
    options = {"source": source, "output": output, "multiple": multiple, "side": side}
    return ModelSpec(EXTERNAL, None, None, bands, classes, options=options)


def read_card_file(path: Path) -> dict[str, Any]:
    """The facts of a card file (YAML), by name.

    Raises:
        ConfigError: it cannot be read, or has a key that means nothing.
    """
    document = read_yaml(path)
    if not isinstance(document, Mapping):
        raise ConfigError(f"{path}: give names and values, such as bands: [red, green, blue]")
    for key in document:
        if key not in (*NEEDED, *_OPTIONAL):
            near = difflib.get_close_matches(str(key), (*NEEDED, *_OPTIONAL), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{path}: {shown(key)} means nothing in a card{hint}")
    return dict(document)


def quarter(window: Any) -> int:
    """The overlap of windows where nothing says it; 0 of what is no number, which is refused."""
    return window // 4 if isinstance(window, int) else 0


def external_card(path: Path, source: str, facts: Mapping[str, Any]) -> Card:
    """The card of these facts.

    Args:
        path: of the network, for messages.
        source: see `external_spec`.
        facts: by the names of a card; ``output``, ``multiple`` and ``side`` too.

    Raises:
        ModelError: one is missing, or they do not fit each other.
    """
    missing = [name for name in NEEDED if facts.get(name) is None]
    if missing:
        examples = "; ".join(f"{name}: {_EXAMPLES[name]}" for name in missing)
        raise ModelError(
            f"{path}: nothing says its {', '.join(missing)}; give --card FILE (or a card.yaml "
            f"beside it), a YAML file with lines such as {examples}"
        )
    try:
        classes = ClassScheme.parse({"classes": facts["classes"]})
        of_bands = facts_of_bands(facts)
        spec = external_spec(
            source,
            len(of_bands["bands"]),
            len(classes),
            facts.get("output", "logits"),
            facts.get("multiple", 1),
            facts.get("side"),
        )
        side = spec.options["side"]
        window = facts.get("window", 512) if side is None else side
        return Card(
            spec=spec,
            classes=classes,
            **of_bands,
            window=window,
            overlap=facts.get("overlap", quarter(window)),
            ground_sampling=facts.get("ground_sampling"),
            license=facts.get("license"),
        )
    except (ConfigError, ModelError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: its card makes no sense: {one_line_reason(error)}") from error


def deepness_facts(path: Path, metadata: Mapping[str, str], bands: int | None) -> dict[str, Any]:
    """What Deepness's metadata say, by the names of a card.

    Args:
        path: of the file, for messages.
        metadata: texts by key; values are JSON.
        bands: of the network's images, where its file says it.

    Returns:
        The facts; none where the file has no such metadata.

    Raises:
        ModelError: the model does something else than segmentation, or a value has no sense.
    """
    values = {key: _parsed(text) for key, text in metadata.items()}
    if "model_type" not in values:
        return {}
    kind = str(values["model_type"]).capitalize()
    if kind != _SEGMENTOR:
        raise ModelError(f"{path}: is a model of the type {kind}; geoseg runs {_SEGMENTOR} models")
    facts: dict[str, Any] = {"value_range": (0, _WHITE), "output": "probabilities"}
    names = _class_names(path, values)
    if names is not None:
        facts["classes"] = names
    mean, std = (_numbers(path, values, f"standardization_{name}") for name in ("mean", "std"))
    count = bands or (len(mean) if isinstance(mean, list) else None)
    if count is not None:
        # Without both, the plugin only divides.
        if mean is None or std is None:
            mean, std = [0.0] * count, [1.0] * count
        facts["mean"] = [_WHITE * each for each in mean]
        facts["std"] = [_WHITE * each for each in std]
    tile = _number(path, values, "tile_size") or _number(path, values, "tiles_size")
    if tile:
        share = _number(path, values, "tiles_overlap")
        facts["window"] = int(tile)
        facts["overlap"] = int(tile * (_OVERLAP if share is None else share) / 100)
    resolution = _number(path, values, "resolution")
    if resolution:
        facts["ground_sampling"] = resolution / 100
    return facts


def with_background(facts: Mapping[str, Any], channels: int | None) -> dict[str, Any]:
    """Facts of a network of one channel: a probability of the only class, or of the second of two.

    Args:
        facts: by the names of a card.
        channels: that the network gives, where its file says it.
    """
    if len(facts.get("classes") or ()) > 2:  # these are class ids, if it gives one channel
        return dict(facts)
    if channels != 1 or facts.get("output", "logits") not in ("logits", "probabilities", "sigmoid"):
        return dict(facts)
    changed = dict(facts)
    changed["output"] = "sigmoid-logits" if facts.get("output") == "logits" else "sigmoid"
    classes = list(facts.get("classes") or ())
    if len(classes) == 1:
        changed["classes"] = [_BACKGROUND, *classes]
    return changed


def _parsed(text: str) -> Any:
    """The value of a JSON text; the text itself where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _number(path: Path, values: Mapping[str, Any], name: str) -> float | None:
    """A number of the metadata; None where there is none.

    Raises:
        ModelError: it is no number.
    """
    given = values.get(name)
    if given is None:
        return None
    try:
        return float(given)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{path}: its metadata have {name} {shown(given)}, which is no number; write them again"
        ) from error


def _numbers(path: Path, values: Mapping[str, Any], name: str) -> list[float] | None:
    """Numbers of the metadata, one for each band; None where there are none.

    Raises:
        ModelError: they are no numbers.
    """
    given = values.get(name)
    if given is None:
        return None
    try:
        return [float(each) for each in given]
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{path}: its metadata have {name} {shown(given)}, which is no list of numbers; "
            "write them again"
        ) from error


def _class_names(path: Path, values: Mapping[str, Any]) -> list[str] | None:
    """The names of the classes in order, of the first output.

    Raises:
        ModelError: they are not numbered from 0 on.
    """
    given = values.get("class_names", values.get("names"))
    if isinstance(given, list) and given and isinstance(given[0], Mapping):
        given = given[0]
    if isinstance(given, Mapping):
        numbered = {str(number): str(name) for number, name in given.items()}
        if set(numbered) != set(map(str, range(len(numbered)))):
            raise ModelError(
                f"{path}: its classes are numbered {shorten(numbered, 20)}; "
                "give --card FILE with classes: [...], one for each channel"
            )
        return [numbered[str(number)] for number in range(len(numbered))]
    if isinstance(given, Sequence) and not isinstance(given, str):
        return [str(name) for name in given]
    return None
