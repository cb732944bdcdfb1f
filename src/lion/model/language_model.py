"""The frozen language model: a T5 with a mixture of adapters beside every feed-forward, encoder and decoder alike.

B prompts, K answers of a prompt, N input tokens, T answer tokens, D width.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import T5Config, T5ForConditionalGeneration
from transformers import initialization as init
from transformers.models.t5.modeling_t5 import T5Block, T5LayerCrossAttention, T5Stack

from lion.model.mixture_of_adapters import Adapter, MixtureOfAdapters, Router

KEPT_IN_FLOAT32 = (r".+\.DenseReluDense\.wo",)
"""What overflows in float16; a pattern, as transformers' own ``wo`` would also mean ``word_embeddings``."""


class SharedCrossAttention(T5LayerCrossAttention):
    """T5's cross-attention for several answers to one prompt, whose keys and values exist once for all of them.

    Answer tokens do not attend to each other here, so a prompt's answers may form one long row. With one answer to a
    prompt, as in training and generation, this is T5's own layer.
    """

    def __init__(self, layer: T5LayerCrossAttention) -> None:
        nn.Module.__init__(self)  # T5's constructor would draw start values a second time
        for name, part in layer.named_children():
            self.add_module(name, part)

    def forward(
        self, hidden_states: Tensor, key_value_states: Tensor, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> tuple[Tensor, ...]:
        """Answers (B * K, T, D), those of a prompt together, attend to prompts (B, N, D) with the mask of B rows."""
        if len(hidden_states) == len(key_value_states):
            return super().forward(hidden_states, key_value_states, attention_mask=attention_mask, **kwargs)
        joined = hidden_states.reshape(len(key_value_states), -1, hidden_states.shape[-1])
        if attention_mask is not None:
            attention_mask = attention_mask[:, :, :1]  # a prompt's padding is hidden from all alike
        output, *others = super().forward(joined, key_value_states, attention_mask=attention_mask, **kwargs)
        return output.view_as(hidden_states), *others


class AdaptedT5Block(T5Block):
    """A T5 block whose feed-forward runs beside the mixture: ``O = h + FFN(norm(h)) + mixture(h, levels)``.

    transformers' block keeps its attention (the decoder's becomes a :class:`SharedCrossAttention`); its last layer
    becomes the identity, so that it returns h, the feed-forward's un-normalised input.
    """

    def __init__(self, config: T5Config, first: bool, layer_idx: int, bottleneck: int) -> None:
        super().__init__(config, has_relative_attention_bias=first, layer_idx=layer_idx)
        if self.is_decoder:
            self.layer[1] = SharedCrossAttention(self.layer[1])
        self.feed_forward = self.layer.pop(-1)
        self.layer.append(nn.Identity())
        self.mixture = MixtureOfAdapters(config.d_model, bottleneck)

    def forward(self, *args: Any, task_levels: Tensor, **kwargs: Any) -> tuple[Tensor, ...]:
        hidden_BND, *position_biases = super().forward(*args, **kwargs)
        return self.feed_forward(hidden_BND) + self.mixture(hidden_BND, task_levels), *position_biases


class OwnStartValues:
    """For models of ours: of custom code, transformers would not initialise modules without a tensor of their own."""

    @classmethod
    def is_custom_code(cls) -> bool:
        return False


class AdaptedT5Stack(OwnStartValues, T5Stack):
    """Encoder or decoder made of adapted blocks; hands ``task_levels`` to them like any extra keyword argument."""

    _keep_in_fp32_modules = KEPT_IN_FLOAT32

    def __init__(self, config: T5Config, bottleneck: int) -> None:
        super().__init__(config)
        self.block = nn.ModuleList(
            AdaptedT5Block(config, first=index == 0, layer_idx=index, bottleneck=bottleneck)
            for index in range(config.num_layers)
        )
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """T5's start values, and ours: adapters add nothing at first, routers pick the level's own adapter."""
        super()._init_weights(module)
        if isinstance(module, Adapter):
            init.normal_(module.down.weight, std=module.down.in_features**-0.5)
            init.zeros_(module.up.weight)
            init.ones_(module.scale)
        elif isinstance(module, Router):
            init.copy_(module.gates, Router.initial_gates(module.gates.shape[-1]))


class LionLanguageModel(OwnStartValues, T5ForConditionalGeneration):
    """FLAN-T5 with adapters; ``task_levels`` (B,) is a required argument of ``forward`` (T5's) and ``generate``.

    Source: paper section 3.3; released ``modeling_t5`` with ``lion_adapters``: logits come from an own ``lm_head``.
    """

    _tied_weights_keys = {  # noqa: RUF012 - the name and form transformers reads; unlike T5's, lm_head is not in it
        "encoder.embed_tokens.weight": "shared.weight",
        "decoder.embed_tokens.weight": "shared.weight",
    }
    _no_split_modules = ["AdaptedT5Block"]  # noqa: RUF012
    _keep_in_fp32_modules = KEPT_IN_FLOAT32

    def __init__(self, config: T5Config, bottleneck: int) -> None:
        super().__init__(config)
        for name in ("encoder", "decoder"):
            setattr(self, name, AdaptedT5Stack(getattr(self, name).config, bottleneck))
        self._keep_in_fp32_modules = KEPT_IN_FLOAT32  # T5's constructor has collected those of the stacks just replaced
        self.post_init()

    def prepare_inputs_for_generation(
        self,
        *args: Any,
        task_levels: Tensor,
        assistant_inputs_embeds: Tensor | None = None,
        assistant_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """As T5's. ``generate`` accepts, and repeats for beams, the arguments that are named here."""
        return super().prepare_inputs_for_generation(*args, task_levels=task_levels, **kwargs)

    def _prepare_model_inputs(
        self, inputs: Tensor | None, bos_token_id: Any, model_kwargs: dict[str, Any]
    ) -> tuple[Tensor, str | None, dict[str, Any]]:
        """As T5's; where it is the assistant of another model, its own embeddings (or that model's) are no ids."""
        if inputs is not None and inputs.is_floating_point():
            own = model_kwargs.pop("assistant_inputs_embeds", None)
            mask = model_kwargs.pop("assistant_mask", None)
            model_kwargs["inputs_embeds"] = inputs if own is None else own
            model_kwargs["attention_mask"] = model_kwargs["attention_mask"] if mask is None else mask
            inputs = None
        return super()._prepare_model_inputs(inputs, bos_token_id, model_kwargs)
