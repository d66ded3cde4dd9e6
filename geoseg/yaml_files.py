"""YAML before it is a model: read, overridden, variables filled in, and its errors described."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel, ValidationError

from geoseg.errors import ConfigError, shown
from geoseg.yaml_text import parse_yaml

_WRONG_TYPE = {
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
"""What is wrong with a value, by the first word of pydantic's error type."""
_LARGEST = 4_000_000
"""Bytes of a YAML file."""
_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
_MISSING_KEY = ("missing", "missing_argument")
"""Pydantic's error types, of models and of dataclasses."""


def read_yaml(path: str | os.PathLike[str]) -> Any:
    """The mapping (dict) or the list that a YAML file holds.

    No message shows what stands in the file: it may be another one than was meant, and private.

    Raises:
        ConfigError: the file is missing, is not YAML, is very large, or holds a single value.
    """
    try:
        with Path(path).open("rb") as file:
            text = file.read(_LARGEST + 1).decode()
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; give a YAML file") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give a YAML file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text; give a YAML file") from error
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{shown(path)}: names no file; give a YAML file") from error
    if len(text) > _LARGEST:
        raise ConfigError(f"{path}: is larger than {_LARGEST:,} bytes; give a YAML file")
    try:
        document = parse_yaml(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}; give a YAML file") from error
    if not isinstance(document, dict | list):
        raise ConfigError(f"{path}: holds no keys and values; give a YAML file that does")
    return document


def override(document: Mapping[str, Any], assignment: str) -> dict[str, Any]:
    """A copy of the document with one value set.

    Args:
        document: the mapping; it is not changed.
        assignment: ``key.path=value``, the value in YAML; numbers in the path count list entries
            from 0.

    Raises:
        ConfigError: the assignment has another form, or its path leads through a value that has no
            keys.
    """
    path, equals, text = assignment.partition("=")
    if not equals or not path.strip():
        raise ConfigError(f"--set {assignment!r}: give key.path=value, such as train.steps=500")
    try:
        value = parse_yaml(text)
    except ConfigError as error:
        raise ConfigError(
            f"--set {shown(assignment)}: the value is not valid YAML: {error}"
        ) from error
    changed: dict[str, Any] = _with_value(document, path.strip().split("."), value, assignment)
    return changed


def _with_value(node: Any, keys: list[str], value: Any, assignment: str) -> Any:
    """A copy of the node with the value at the path `keys`; missing mappings are added."""
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(node, list) and key.isdigit() and int(key) < len(node):
        entries = list(node)
        entries[int(key)] = _with_value(node[int(key)], rest, value, assignment)
        return entries
    if node is None or isinstance(node, Mapping):
        section = dict(node or {})
        return section | {key: _with_value(section.get(key), rest, value, assignment)}
    raise ConfigError(
        f"--set {assignment!r}: {key!r} lies inside {shown(node)}, which holds no keys"
    )


def expand(node: Any, path: str = "") -> Any:
    """A copy of the document in which each ``${NAME}`` is the value of that environment variable.

    Args:
        node: the document, or a part of it.
        path: where the part lies in the document, for messages.

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
    """The most informative of pydantic's errors in one line: where, what was given, what is needed.

    Args:
        error: pydantic's.
        document: what was validated.
        model: the pydantic class that refused it.
    """
    # An unknown key first: a wrong value or a missing key beside it is often only its consequence.
    details = min(error.errors(), key=lambda item: item["type"] not in _UNKNOWN_KEY)
    kind, location = details["type"], details["loc"]
    keys, value = _find(location, document)
    if location and location[-1] == "[key]":  # the key itself of a mapping is refused
        keys, value = _find(location[:-2], document)[0], location[-2]
    where = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")
    context = details.get("ctx", {})
    if kind in _UNKNOWN_KEY:
        return f"{where}: unknown key; {_suggest(str(keys[-1]), _known_keys(model, keys[:-1]))}"
    if kind in _MISSING_KEY:
        return f"{where}: is missing"
    if kind == "too_short":
        return f"{where}: is empty; give at least one"
    if kind == "too_long":
        return f"{where}: {shown(value)} holds {len(value)} entries; give {context['max_length']}"
    if kind == "value_error":  # raised by our own validators, in our own words
        return f"{where}: {context['error']}" if where else str(context["error"])
    needed = details["msg"].replace("Input should", "it should")
    wrong = _WRONG_TYPE.get(kind.partition("_")[0], f"is refused; {needed}")
    return f"{where}: {shown(value)} {wrong}"


def _suggest(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"


def _find(location: tuple[int | str, ...], document: Any) -> tuple[list[int | str], Any]:
    """The keys of an error's location that the document has, and the value that they lead to.

    Pydantic also puts names of the types that it tried into locations; these are left out. The last
    key may be one that is missing.
    """
    keys: list[int | str] = []
    node = document
    for position, key in enumerate(location):
        entries = dict(enumerate(node)) if isinstance(node, list | tuple) else node
        if not isinstance(entries, Mapping):
            continue
        is_last = position == len(location) - 1
        is_missing = is_last and (isinstance(node, Mapping) or isinstance(key, int))
        if key in entries or is_missing:
            keys.append(key)
            node = entries.get(key)
    return keys, node


def _known_keys(model: Any, keys: list[int | str]) -> list[str]:
    """The keys that the section at this path may have."""
    for key in keys:
        if isinstance(key, str):
            model = _section_class(get_type_hints(model)[key])
    return list(inspect.signature(model).parameters)


def _section_class(annotation: Any) -> Any:
    """The class of a section inside an annotation such as ``tuple[Rasters, ...]``; else None."""
    if inspect.isclass(annotation) and not get_args(annotation):
        is_section = issubclass(annotation, BaseModel) or dataclasses.is_dataclass(annotation)
        return annotation if is_section else None
    return next(filter(None, map(_section_class, get_args(annotation))), None)
