"""The tag soft prompt: one learnt vector that tells the language model how far to trust the image tags.

B batch, T text tokens, D language-model width.
"""

import torch
from torch import Tensor, nn


class TagSoftPrompt(nn.Module):
    """Replaces the embedding at the placeholder ``token_id`` (``<extra_id_0>``) by a learnt vector of ``width`` D.

    Source: paper section 3.2; released ``soft_prompt_hint``.
    """

    def __init__(self, width: int, token_id: int) -> None:
        super().__init__()
        self.token_id = token_id
        self.vector = nn.Parameter(torch.zeros(width))

    def forward(self, embeddings_BTD: Tensor, input_ids_BT: Tensor) -> Tensor:
        """Put the vector into the slot of each row with a tag prompt; embeddings (B, T, D), ids (B, T) to (B, T, D).

        That a row has one slot at most is the processor's to check, on the text: here it would wait for the device.
        """
        slots_BT = input_ids_BT == self.token_id
        return torch.where(slots_BT[..., None], self.vector.to(embeddings_BTD.dtype), embeddings_BTD)
