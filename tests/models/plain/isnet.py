"""ISNet as its code arranges it: loops over classes, all pixels as keys, contexts concatenated."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from geoseg.models.context.isnet.head import ImageContext, ISNetHead, Projections, SemanticContext


def classify(head: ISNetHead, features: Sequence[Tensor]) -> Tensor:
    """The main logits that `head` gives, with its weights."""
    x = head.reduce(features[-1])
    contexts = []
    if head.image is not None:
        contexts.append(augment_by_image(head.image, x))
    if head.semantic is not None:
        contexts.append(augment_by_class(head.semantic, x, head.semantic.classify(x)))
    if head.options.fuse == "sum":
        x = x + sum(contexts)
    elif head.options.fuse == "1x1":
        x = head.fuse[0](torch.cat([*contexts, x], 1)) if contexts else x
    else:
        for block, context in zip(head.fuse, contexts, strict=True):
            x = block(torch.cat([x, context], 1))
    return head.classify(x)


def augment_by_image(module: ImageContext, x: Tensor) -> Tensor:
    """R'_il."""
    if module.pyramid is not None:
        parts = (
            [x, module.pyramid.pyramid(x)] if module.pyramid.beside else [module.pyramid.pyramid(x)]
        )
        context = module.pyramid.fuse(torch.cat(parts, 1))
    else:
        context = torch.cat([F.adaptive_avg_pool2d(x, 1).expand_as(x), x], 1)
        if module.transform is not None:
            context = module.transform(context)
    return _attend(module.project, x, context)


def augment_by_class(module: SemanticContext, x: Tensor, logits: Tensor) -> Tensor:
    """R'_sl."""
    context = torch.zeros_like(x)
    for image in range(len(x)):
        labels = logits[image].argmax(0)
        for label in range(logits.shape[1]):
            inside = labels == label
            if inside.any():
                weights = logits[image, label, inside].softmax(0)
                region = (x[image][:, inside] * weights).sum(1)
                context[image][:, inside] = region.unsqueeze(1)
    return _attend(module.project, x, context)


def _attend(project: Projections | None, x: Tensor, context: Tensor) -> Tensor:
    """Attention of all pixels to the contexts of all pixels."""
    if project is None:
        return _product(x, context, context)
    query, key, value = (
        project.query(x),
        project.key(project.key_in(context)),
        project.value(context),
    )
    return project.out(_product(query, key, value))


def _product(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    similarity = (
        query.flatten(2).transpose(1, 2) @ key.flatten(2) / query.shape[1] ** 0.5
    )  # (N, h·w, h·w)
    context = value.flatten(2) @ similarity.softmax(2).transpose(1, 2)
    return context.reshape(value.shape)
