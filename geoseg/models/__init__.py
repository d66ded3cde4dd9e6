"""Networks and model files: encoders, heads, and the card of what a model takes and gives.

Names are loaded when they are first used: card, spec and the names of systems need no torch.
"""

from typing import TYPE_CHECKING

from geoseg.lazy import lazy_names

if TYPE_CHECKING:
    from geoseg.models.card import Card
    from geoseg.models.cardfile import load_card
    from geoseg.models.context import HEADS, ContextHead, Outputs
    from geoseg.models.layers import Classifier, conv_bn_relu
    from geoseg.models.modelfile import Model, load_model, save_model, write_model
    from geoseg.models.segmenter import Segmenter, build_segmenter, create_model
    from geoseg.models.spec import ModelSpec, systems
    from geoseg.models.wrap import wrap

_HOMES = {
    "HEADS": "geoseg.models.context:HEADS",
    "Card": "geoseg.models.card:Card",
    "Classifier": "geoseg.models.layers:Classifier",
    "ContextHead": "geoseg.models.context.base:ContextHead",
    "Model": "geoseg.models.modelfile:Model",
    "ModelSpec": "geoseg.models.spec:ModelSpec",
    "Outputs": "geoseg.models.context.base:Outputs",
    "Segmenter": "geoseg.models.segmenter:Segmenter",
    "build_segmenter": "geoseg.models.segmenter:build_segmenter",
    "conv_bn_relu": "geoseg.models.layers:conv_bn_relu",
    "create_model": "geoseg.models.segmenter:create_model",
    "load_card": "geoseg.models.cardfile:load_card",
    "load_model": "geoseg.models.modelfile:load_model",
    "save_model": "geoseg.models.modelfile:save_model",
    "systems": "geoseg.models.spec:systems",
    "wrap": "geoseg.models.wrap:wrap",
    "write_model": "geoseg.models.modelfile:write_model",
}

__all__ = [
    "HEADS",
    "Card",
    "Classifier",
    "ContextHead",
    "Model",
    "ModelSpec",
    "Outputs",
    "Segmenter",
    "build_segmenter",
    "conv_bn_relu",
    "create_model",
    "load_card",
    "load_model",
    "save_model",
    "systems",
    "wrap",
    "write_model",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
