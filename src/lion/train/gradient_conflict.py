"""The conflict of image-level and region-level tasks as a number: the cosine between their gradients, layer by layer.

Below 0 a step for one level is a step against the other, near 0 the two do not meet. Beside it stands the cosine of two
batches of one level: what chance leaves of a perfect agreement.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from lion.data.collate import collate
from lion.data.sample import Sample
from lion.model import LionForConditionalGeneration, LionProcessor
from lion.model.modeling_lion import component_of
from lion.train.objective import Batch
from lion.train.stages import IMAGE_TASKS, REGION_TASKS

_HALF = 16
"""Samples of a batch; there are two batches a level."""
_BLOCKS = ("language_model.encoder.block.", "language_model.decoder.block.")

BatchLoss = Callable[[LionForConditionalGeneration, Batch], Tensor]


def gradient_cosines(
    model: LionForConditionalGeneration,
    processor: LionProcessor,
    loss: BatchLoss,
    questions: Mapping[str, Sequence[Sample]],
) -> dict[str, float]:
    """`gradient_cosine/LAYER` between the levels, `gradient_cosine_within/LAYER` between two batches of one level.

    Of all parameters that train: layers are the language model's blocks (`encoder.0`), and the other components. Empty
    unless both levels have questions.

    Args:
        model: whose gradients are left as they are.
        loss: the language-model loss of a batch.
        questions: samples of val questions by task; of each level's tasks in turn the first ones are taken.
    """
    gradients = []
    for tasks in (IMAGE_TASKS, REGION_TASKS):
        found = [samples for name, samples in questions.items() if name in tasks]
        mixed = [sample for row in zip(*found, strict=False) for sample in row][: 2 * _HALF]
        if len(mixed) < 2:
            return {}
        batches = [_batch(half, processor) for half in (mixed[: len(mixed) // 2], mixed[len(mixed) // 2 :])]
        gradients.append([_gradients(model, loss, batch.to(model.device)) for batch in batches])
    image, region = gradients
    pairs = {
        "gradient_cosine": list(zip(image, region, strict=True)),
        "gradient_cosine_within": [(image[0], image[1]), (region[0], region[1])],
    }
    return {f"{name}/{layer}": _cosine(layer, some) for name, some in pairs.items() for layer in image[0]}


def _batch(samples: Sequence[Sample], processor: LionProcessor) -> Batch:
    tasks = [str(sample.task) for sample in samples]
    return Batch(collate(samples, processor), [sample.id for sample in samples], tasks)


def _gradients(model: LionForConditionalGeneration, loss: BatchLoss, batch: Batch) -> dict[str, Tensor]:
    """The gradient of the batch's loss by layer, each flattened."""
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    # Without autocast, whose copies of the weights were made where nothing is differentiated.
    with torch.enable_grad(), torch.autocast(model.device.type, enabled=False):
        parameters = [parameter for _, parameter in named]
        found = torch.autograd.grad(loss(model, batch), parameters, allow_unused=True)
    layers = defaultdict(list)
    for (name, parameter), gradient in zip(named, found, strict=True):
        layers[_layer(name)].append((torch.zeros_like(parameter) if gradient is None else gradient).flatten())
    return {layer: torch.cat(parts) for layer, parts in layers.items()}


def _cosine(layer: str, pairs: Sequence[tuple[Mapping[str, Tensor], Mapping[str, Tensor]]]) -> float:
    """Mean over pairs of gradients of the cosine in one layer; 0 where a gradient is zero."""
    cosines = [functional.cosine_similarity(one[layer], other[layer], dim=0) for one, other in pairs]
    return float(torch.stack(cosines).mean())


def _layer(name: str) -> str:
    """`encoder.0` for what is in that block of the language model, else the component."""
    for prefix in _BLOCKS:
        if name.startswith(prefix):
            return f"{prefix.split('.')[1]}.{name.removeprefix(prefix).split('.')[0]}"
    return component_of(name)
