"""Collates samples to tensors with the processor that is used for inference, too.

B batch, S image side, T prompt tokens, A answer tokens.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lion.data.sample import Sample
from lion.model import LionProcessor


def collate(samples: Sequence[Sample], processor: LionProcessor) -> dict[str, Tensor]:
    """The model's inputs and labels.

    Returns:
        `pixels` uint8 (B, S, S, 3), to be normalised on the device (a quarter of the bytes to transfer);
        `input_ids`, `attention_mask` (B, T), `qformer_input_ids`, `qformer_attention_mask`, `task_levels` (B,), and
        `labels` (B, A). Prompts that are too long lose their beginning, as released.
    """
    words = processor(
        text=[sample.instruction for sample in samples],
        tags=[sample.tags for sample in samples],
        tasks=[sample.task for sample in samples],
        answers=[sample.answer for sample in samples],
        truncation=True,
    )
    images, resize = [sample.image for sample in samples], processor.image_processor.resize
    pixels = [image if isinstance(image, np.ndarray) else resize(image) for image in images]
    return {"pixels": torch.from_numpy(np.stack(pixels)), **words}
