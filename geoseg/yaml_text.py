"""YAML text within bounds: of depth, and of size once its aliases are filled in."""

from __future__ import annotations

from typing import Any

import yaml

from geoseg.errors import ConfigError

_DEEPEST = 50
"""Mappings and lists inside one another."""
_MOST_VALUES = 100_000
"""Values in a YAML file."""


def parse_yaml(text: str) -> Any:
    """The document in a YAML text.

    Raises:
        ConfigError: it is not YAML, or nested too deep, or too large once its aliases (``*name``)
            are filled in; the message shows nothing of the text.
    """
    try:
        _check_extent(text)
        return yaml.safe_load(text)
    except ConfigError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"no YAML ({error.context or 'wrong'}{where})") from error
    except yaml.YAMLError as error:
        raise ConfigError("no YAML (it has characters that YAML lacks)") from error
    except Exception as error:  # of values such as 2024-13-45 and !!int x
        raise ConfigError(f"no YAML (a value cannot be read: {type(error).__name__})") from error


def _check_extent(text: str) -> None:
    """Refuse what is nested too deep, or grows too large once its aliases are filled in."""
    open_nodes: list[tuple[str | None, int]] = []  # of each its anchor, and its values so far
    sizes: dict[str, int] = {}
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        anchor = getattr(event, "anchor", None)
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((anchor, 1))
            if len(open_nodes) > _DEEPEST:
                raise ConfigError(f"nested more than {_DEEPEST} deep")
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_nodes.pop()
        elif isinstance(event, yaml.AliasEvent):
            if anchor not in sizes:
                raise ConfigError("an alias leads nowhere, or to what it lies in")
            size, anchor = sizes[anchor], None
        elif isinstance(event, yaml.ScalarEvent):
            size = 1
        else:
            continue
        if anchor is not None:
            sizes[anchor] = size
        if open_nodes:
            open_nodes[-1] = (open_nodes[-1][0], open_nodes[-1][1] + size)
            if open_nodes[-1][1] > _MOST_VALUES:
                raise ConfigError(f"more than {_MOST_VALUES:,} values, its aliases filled in")
