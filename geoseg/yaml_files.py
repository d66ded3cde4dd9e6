"""YAML documents before they are models: read, overridden, variables filled in, and their errors put into words."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from geoseg.classes import SCHEMES, ClassScheme
from geoseg.errors import ConfigError

_PLAIN = {
    "int": "is not a whole number",
    "float": "is not a number",
    "bool": "is not true or false",
    "string": "is not text",
    "dict": "is not a mapping of keys to values",
    "model": "is not a mapping of keys to values",
    "dataclass": "is not a mapping of keys to values",
    "tuple": "is not a list",
    "finite": "is not a finite number",
}
"""What is wrong, by the first word of pydantic's error type."""


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping, or the list, that a YAML file holds.

    Raises:
        ConfigError: the file is missing, or no YAML.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; give a YAML file") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give a YAML file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no text in UTF-8; give a YAML file") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: no YAML ({_one_line(error)})") from error
    if not isinstance(document, dict | list):
        raise ConfigError(f"{path}: holds {document!r}; keys and values are needed")
    return document  # type: ignore[return-value]  # callers that want a mapping check it themselves


def read_classes(given: Any, ignore: Any = None) -> ClassScheme:
    """The scheme behind a name (isprs, cityscapes), the path of a classes file, or its content.

    Raises:
        ConfigError: there is no such scheme or file, or it says something else than classes.
    """
    if isinstance(given, str):
        if given in SCHEMES:
            values = ignore if isinstance(ignore, list | tuple) else (ignore,)
            return (
                SCHEMES[given] if ignore is None else replace(SCHEMES[given], ignore=tuple(values))
            )
        if not Path(given).is_file():
            raise ConfigError(
                f"{given}: no such classes file, and no scheme; known schemes are {', '.join(SCHEMES)}"
            )
        document = read_yaml(Path(given))
        try:
            return read_classes(document, ignore)
        except ConfigError as error:
            raise ConfigError(f"{given}: {error}") from error
    document = dict(given) if isinstance(given, Mapping) else {"classes": given}
    return ClassScheme.parse(document if ignore is None else document | {"ignore": ignore})


def override(document: Mapping[str, Any], assignment: str) -> dict[str, Any]:
    """The document with one value set.

    Args:
        document: stays as it is.
        assignment: ``key.path=value``, the value in YAML; numbers in the path count list entries from 0.

    Raises:
        ConfigError: the assignment has another form, or its path leads through a value that holds nothing.
    """
    path, equals, text = assignment.partition("=")
    if not equals or not path.strip():
        raise ConfigError(f"--set {assignment!r}: give key.path=value, as train.steps=500")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"--set {assignment!r}: the value is no YAML ({_one_line(error)})"
        ) from error
    changed: dict[str, Any] = _with(document, path.strip().split("."), value, assignment)
    return changed


def _with(node: Any, keys: list[str], value: Any, assignment: str) -> Any:
    if not keys:
        return value
    first, rest = keys[0], keys[1:]
    if isinstance(node, list) and first.isdigit() and int(first) < len(node):
        position = int(first)
        return [
            *node[:position],
            _with(node[position], rest, value, assignment),
            *node[position + 1 :],
        ]
    if node is None or isinstance(node, Mapping):
        held = dict(node or {})
        return held | {first: _with(held.get(first), rest, value, assignment)}
    raise ConfigError(f"--set {assignment!r}: {first!r} lies inside {node!r}, which holds no keys")


def expand(node: Any, path: str = "") -> Any:
    """The document with each ``${NAME}`` replaced by the environment's value.

    Raises:
        ConfigError: a variable is not set.
    """
    if isinstance(node, Mapping):
        return {
            key: expand(value, f"{path}.{key}" if path else str(key)) for key, value in node.items()
        }
    if isinstance(node, list | tuple):
        return [expand(value, f"{path}[{index}]") for index, value in enumerate(node)]
    if not isinstance(node, str):
        return node

    def value_of(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise ConfigError(
                f"{path}: {match[0]} is not set; set it, as in {match[1]}=/path geoseg train ..."
            )
        return os.environ[match[1]]

    return re.sub(r"\$\{(\w+)\}", value_of, node)


def first_error(error: ValidationError, document: Mapping[str, Any], model: type) -> str:
    """The first thing that is wrong, in one line: where, what came, what is needed.

    Args:
        error: pydantic's.
        document: what was validated.
        model: the model that refused it.
    """
    # An unknown key first: the wrong value or the missing key that comes with it is often only its shadow.
    found = min(error.errors(), key=lambda item: item["type"] not in _UNKNOWN)
    loc = found["loc"]
    keys, value = _place(loc, document)
    if (
        loc and loc[-1] == "[key]"
    ):  # pydantic's word for a key that may not stand in a mapping: the key is what is wrong
        keys, value = _place(loc[:-2], document)[0], loc[-2]
    where = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")
    kind = found["type"]
    if kind in _UNKNOWN:
        near = difflib.get_close_matches(str(keys[-1]), known := _keys_at(model, keys[:-1]), n=1)
        return f"{where}: unknown key; " + (
            f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        )
    if kind in ("missing", "missing_argument"):
        return f"{where}: is missing"
    if kind == "too_short":
        return f"{where}: is empty; give at least one"
    if kind == "too_long":
        return f"{where}: {value!r} holds {found['ctx']['actual_length']} entries; give {found['ctx']['max_length']}"
    if kind == "value_error":
        reason = str(found["ctx"]["error"])
        return f"{where}: {reason}" if where else reason
    told = _PLAIN.get(kind.partition("_")[0], "")
    needed = found["msg"].replace("Input should", "it should")
    return f"{where}: {value!r} {told}" if told else f"{where}: {value!r} is refused; {needed}"


_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")


def _place(loc: tuple[int | str, ...], document: Any) -> tuple[list[int | str], Any]:
    """The keys of an error's location that are in the document: pydantic mixes in the names of tried types."""
    keys: list[int | str] = []
    node = document
    for position, key in enumerate(loc):
        held = dict(enumerate(node)) if isinstance(node, list | tuple) else node
        missing = position == len(loc) - 1 and (isinstance(node, Mapping) or isinstance(key, int))
        if isinstance(held, Mapping) and (key in held or missing):
            keys.append(key)
            node = held.get(key)
    return keys, node


def _keys_at(model: type, keys: list[int | str]) -> list[str]:
    """The keys that a section knows."""
    for key in keys:
        if isinstance(key, str):
            model = _section(model.__pydantic_fields__[key].annotation)  # type: ignore[attr-defined]  # of any pydantic class
    return list(model.__pydantic_fields__)  # type: ignore[attr-defined]


def _section(annotation: Any) -> Any:
    """The pydantic class inside an annotation such as ``tuple[Rasters, ...]``."""
    if hasattr(annotation, "__pydantic_fields__"):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section(part))), None)


def _one_line(error: yaml.YAMLError) -> str:
    return " ".join(str(error).split())
