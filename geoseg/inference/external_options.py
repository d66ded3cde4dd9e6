"""Options that a network of another program binds."""

from __future__ import annotations

from dataclasses import replace

from geoseg.errors import ConfigError
from geoseg.inference.options import PredictOptions
from geoseg.models import Card
from geoseg.models.spec import EXTERNAL


def bound_options(options: PredictOptions, card: Card) -> PredictOptions:
    """The options as the network of a card lets them be.

    Raises:
        ConfigError: one does not go with the network.
    """
    if card.spec.system != EXTERNAL:
        return options
    side, source = card.spec.options["side"], card.spec.options["source"]
    if side is not None and (options.window not in (None, side) or options.scales != (1.0,)):
        raise ConfigError(
            f"the network takes images of {side} px only; leave window and scales out"
        )
    if source != "onnx":
        return options
    if options.precision not in ("auto", "fp32"):
        raise ConfigError(
            f"precision {options.precision}: an ONNX network has its own; leave it out"
        )
    return replace(options, precision="fp32")
