"""The instruction-aware Q-Former: learnt queries read the picture conditioned on the instruction.

B batch, P patches + CLS, Q queries, T instruction tokens (BERT's, not T5's), V vision width, D language-model width.
"""

import torch
from torch import Tensor, nn
from transformers import InstructBlipQFormerConfig, InstructBlipQFormerModel

from lion.model.vision_encoder import LayerNorm


class QFormer(nn.Module):
    """LayerNorm of the deepest tap, queries, BERT with cross-attention, projection to the language model.

    It sees the bare instruction: tags and their soft prompt are for the language model only.

    Source: paper section 3.1; released ``ln_vision``, ``query_tokens``, ``Qformer.bert`` and ``t5_proj``.
    """

    def __init__(
        self, config: InstructBlipQFormerConfig, queries: int, vision_width: int, language_width: int, norm_eps: float
    ) -> None:
        super().__init__()
        # Ours and trained; the ViT's own final norm has another epsilon and is not used.
        self.vision_norm = LayerNorm(vision_width, eps=norm_eps)
        self.queries = nn.Parameter(torch.zeros(1, queries, config.hidden_size))
        self.bert = InstructBlipQFormerModel(config)
        self.projection = nn.Linear(config.hidden_size, language_width)

    def forward(self, last_BPV: Tensor, instruction_BT: Tensor, instruction_mask_BT: Tensor) -> Tensor:
        """Deepest tap (B, P, V) and instruction ids (B, T) to visual tokens (B, Q, D)."""
        queries_BQ = self.queries.expand(last_BPV.shape[0], -1, -1)
        ones_BQ = instruction_mask_BT.new_ones(queries_BQ.shape[:2])
        hidden = self.bert(
            input_ids=instruction_BT,
            attention_mask=torch.cat([ones_BQ, instruction_mask_BT], dim=1),
            query_embeds=queries_BQ,
            encoder_hidden_states=self.vision_norm(last_BPV),
        ).last_hidden_state
        return self.projection(hidden[:, : queries_BQ.shape[1]])
