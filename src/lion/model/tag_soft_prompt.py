"""The tag soft prompt: one learnt vector that tells the language model how far to trust the image tags.

B batch, T text tokens, D language-model width.
"""

import torch
from torch import Tensor, nn


class TagSoftPrompt(nn.Module):
    """Replaces the embedding at the placeholder token by a learnt D-vector.

    Args:
        width: D.
        token_id: id of the placeholder (``<extra_id_0>``).

    Source: paper section 3.2; released ``soft_prompt_hint``.
    """

    def __init__(self, width: int, token_id: int) -> None:
        super().__init__()
        self.token_id = token_id
        self.vector = nn.Parameter(torch.zeros(width))

    def forward(self, embeddings_BTD: Tensor, input_ids_BT: Tensor) -> Tensor:
        """Splice the vector into each row that carries the tag prompt; rows without tags have no slot and stay.

        Raises:
            ValueError: a row holds two or more slots (its own text contains the placeholder): the released code
                then fills all of them or fails with a shape error.
        """
        slots_BT = input_ids_BT == self.token_id
        crowded = (slots_BT.sum(dim=1) > 1).nonzero().flatten().tolist()
        if crowded:
            raise ValueError(
                f"rows {crowded} hold more than one tag placeholder (token {self.token_id}); it belongs to the tag "
                "prompt alone, so remove it from the instruction and the tags"
            )
        return torch.where(slots_BT[..., None], self.vector.to(embeddings_BTD.dtype), embeddings_BTD)
