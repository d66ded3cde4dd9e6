"""Networks and model files: encoders, heads, and the card of what a model takes and gives."""

from geoseg.models.card import Card
from geoseg.models.context import HEADS, ContextHead, Outputs
from geoseg.models.layers import Classifier, conv_bn_relu
from geoseg.models.modelfile import Model, load_card, load_model, save_model, write_model
from geoseg.models.segmenter import Segmenter, build_segmenter, create_model
from geoseg.models.spec import ModelSpec, systems

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
    "write_model",
]
