"""The card of a network from elsewhere: what the user says of it, in a file or as options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geoseg.classes import ClassScheme
from geoseg.errors import ConfigError, ModelError, one_line_reason
from geoseg.models import Card, ModelSpec
from geoseg.models.external_card import NEEDED, read_card_file
from geoseg.models.stated_facts import facts_of_bands

_OF_OTHERS = ("output", "multiple", "side")
"""Keys of a card that are about networks which geoseg does not build."""


def card_facts(card: Path | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a card file and of options, which come before it.

    Args:
        card: the file, YAML.
        given: values by the names of a card; None for those that are not given.

    Raises:
        ConfigError: the file is wrong, or something is missing that a card must have.
    """
    facts = {} if card is None else read_card_file(card)
    for name in _OF_OTHERS:
        if name in facts:
            raise ConfigError(
                f"{card}: {name} is for networks that geoseg does not build; leave it out"
            )
    facts |= {name: value for name, value in given.items() if value is not None}
    missing = [name for name in NEEDED if facts.get(name) is None]
    if missing:
        options = " ".join(f"--{name.replace('_', '-')}" for name in missing)
        raise ConfigError(
            f"nothing says the network's {', '.join(missing)}, and its tensors do not; give "
            f"--card FILE, a YAML file with lines such as bands: [red, green, blue], or {options}"
        )
    return facts


def scheme_of(facts: Mapping[str, Any]) -> ClassScheme:
    """The classes of the facts.

    Raises:
        ConfigError: they are none.
    """
    classes = facts["classes"]
    return classes if isinstance(classes, ClassScheme) else ClassScheme.parse(classes)


def make_card(spec: ModelSpec, facts: Mapping[str, Any], training: Mapping[str, Any]) -> Card:
    """The card of a network.

    Args:
        spec: of the network.
        facts: by the names of a card.
        training: where its weights come from.

    Raises:
        ModelError: the facts do not fit the network, or each other.
    """
    try:
        return Card(
            spec=spec,
            classes=scheme_of(facts),
            **facts_of_bands(facts),
            training=dict(training),
            **{
                name: facts[name]
                for name in ("window", "overlap", "ground_sampling", "license")
                if facts.get(name) is not None
            },
        )
    except (ConfigError, ModelError, TypeError, ValueError) as error:
        raise ModelError(f"its card makes no sense: {one_line_reason(error)}") from error
