"""LION written a second time, small and slow, from transformers' and torch's own parts, to hold the model against.

Shares no code with ``lion.model`` but the configuration: plain T5 with hand-wrapped feed-forwards, torch's multi-head
attention, hidden states instead of taps. Weights are taken by name from the model that is tested. One task level for a
whole batch, kept where the wrappers find it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import InstructBlipQFormerModel, InstructBlipVisionModel, T5ForConditionalGeneration


def below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under a prefix, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


class WrappedFeedForward(nn.Module):
    """T5's feed-forward layer (residual included) and the adapters beside it."""

    def __init__(self, layer: nn.Module, mixture: dict[str, Tensor], reference: "Reference") -> None:
        super().__init__()
        self.layer, self.mixture, self.reference = layer, mixture, [reference]

    def forward(self, hidden: Tensor) -> Tensor:
        total, weights = self.layer(hidden), self.mixture
        for number, kind in enumerate(("region_adapter", "image_adapter")):
            gain = weights["router.gates"][self.reference[0].level, number]
            inner = functional.relu(
                functional.linear(hidden, weights[f"{kind}.down.weight"], weights[f"{kind}.down.bias"])
            )
            outer = functional.linear(inner, weights[f"{kind}.up.weight"], weights[f"{kind}.up.bias"])
            total = total + gain * weights[f"{kind}.scale"] * outer
        return total


class Reference:
    """The whole model, from the state of ours."""

    def __init__(self, config, state: dict[str, Tensor]) -> None:
        self.config, self.state, self.level = config, state, 0
        self.vit = InstructBlipVisionModel(config.vision_config).eval()
        self.vit.load_state_dict(below(state, "vision_encoder.vit."), strict=False)
        self.bert = InstructBlipQFormerModel(config.qformer_config).eval()
        self.bert.load_state_dict(below(state, "qformer.bert."))
        self.t5 = T5ForConditionalGeneration(config.text_config).eval()
        language = below(state, "language_model.")
        renamed = {}
        for name, tensor in language.items():
            if ".mixture." not in name:
                place = 1 if name.startswith("encoder") else 2
                renamed[name.replace("feed_forward", f"layer.{place}")] = tensor
        self.t5.lm_head = nn.Linear(config.text_config.d_model, config.text_config.vocab_size, bias=False)  # untied
        self.t5.load_state_dict(renamed)
        for side in ("encoder", "decoder"):
            for index, block in enumerate(getattr(self.t5, side).block):
                mixture = below(language, f"{side}.block.{index}.mixture.")
                block.layer[-1] = WrappedFeedForward(block.layer[-1], mixture, self)

    def norm(self, hidden: Tensor, name: str, epsilon: float) -> Tensor:
        return functional.layer_norm(
            hidden, hidden.shape[-1:], self.state[f"{name}.weight"], self.state[f"{name}.bias"], epsilon
        )

    def linear(self, hidden: Tensor, name: str) -> Tensor:
        return functional.linear(hidden, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def attention(self, stream: Tensor, source: Tensor, name: str) -> Tensor:
        heads, epsilon = self.config.aggregator_config.num_attention_heads, self.config.aggregator_config.layer_norm_eps
        torchs = nn.MultiheadAttention(stream.shape[-1], heads, batch_first=True)
        parts = [below(self.state, f"{name}.{part}.") for part in ("query", "key", "value")]
        torchs.load_state_dict(
            {
                "in_proj_weight": torch.cat([part["weight"] for part in parts]),
                "in_proj_bias": torch.cat([part["bias"] for part in parts]),
                "out_proj.weight": self.state[f"{name}.output.weight"],
                "out_proj.bias": self.state[f"{name}.output.bias"],
            }
        )
        return self.norm(stream + torchs(stream, source, source)[0], f"{name}.norm", epsilon)

    def visual_tokens(self, pixel_values: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """[Q | P], (B, Q + P, D)."""
        config, hidden = self.config, self.vit(pixel_values, output_hidden_states=True).hidden_states
        last, *others = (hidden[tap] for tap in config.taps)
        stream = last
        for number, source in enumerate(others):
            block = f"vision_aggregator.blocks.{number}"
            stream = self.attention(stream, stream, f"{block}.self_attention")
            stream = self.attention(stream, source, f"{block}.cross_attention")
            inner = self.linear(
                functional.gelu(self.linear(stream, f"{block}.feed_forward.input")), f"{block}.feed_forward.output"
            )
            stream = self.norm(stream + inner, f"{block}.feed_forward.norm", config.aggregator_config.layer_norm_eps)
        fused = self.norm(stream, "vision_aggregator.norm", config.connector_norm_eps)
        patches = self.linear(functional.gelu(self.linear(fused, "mlp.input")), "mlp.output")
        queries = self.state["qformer.queries"].expand(len(ids), -1, -1)
        read = self.bert(
            input_ids=ids,
            attention_mask=torch.cat([torch.ones(queries.shape[:2], dtype=torch.long), mask], 1),
            query_embeds=queries,
            encoder_hidden_states=self.norm(last, "qformer.vision_norm", config.connector_norm_eps),
        ).last_hidden_state[:, : queries.shape[1]]
        return torch.cat([self.linear(read, "qformer.projection"), patches], 1)

    def encoder_input(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        visual = self.visual_tokens(batch["pixel_values"], batch["qformer_input_ids"], batch["qformer_attention_mask"])
        text = self.t5.shared(batch["input_ids"]).clone()
        text[batch["input_ids"] == self.config.soft_prompt_token_id] = self.state["tag_soft_prompt.vector"]
        ones = torch.ones(visual.shape[:2], dtype=torch.long)
        return {
            "inputs_embeds": torch.cat([visual, text], 1),
            "attention_mask": torch.cat([ones, batch["attention_mask"]], 1),
        }
