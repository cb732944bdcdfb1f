"""The RAM tagger's network: picture to one logit per tag.

1. Swin turns pixels (B, 3, S, S) into normalised patch tokens; their mean goes in front: (B, L, C).
2. ``image_proj`` brings them to the label width: (B, L, E).
3. The frozen label embeddings (N, E), projected and rectified, are the queries: (B, N, W).
4. Two layers of cross-attention to the image tokens and feed-forward; one linear map shared by all tags: (B, N).

Labels do not attend to each other: there is no self-attention, so tags can be added without retraining.
B batch, L image tokens, C Swin width, E label width, W head width, N tags.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, PreTrainedModel, SwinModel
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.modeling_outputs import ImageClassifierOutput

from lion.nn.stem import ConvolutionalStem
from lion.tagging.configuration_ram import RamConfig


class CrossAttention(nn.Module):
    """``norm(labels + output(attend(labels, image)))``; keys and values come from width E."""

    def __init__(self, config: RamConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(config.label_width, width)
        self.value = nn.Linear(config.label_width, width)
        self.output = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps)

    def forward(self, labels_BNW: Tensor, image_BLE: Tensor) -> Tensor:
        query, key, value = (
            projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projected in (self.query(labels_BNW), self.key(image_BLE), self.value(image_BLE))
        )
        attended = functional.scaled_dot_product_attention(query, key, value)
        return self.norm(labels_BNW + self.output(attended.transpose(1, 2).flatten(2)))


class FeedForward(nn.Module):
    """``norm(x + output(act(input(x))))``."""

    def __init__(self, config: RamConfig) -> None:
        super().__init__()
        self.input = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACT2FN[config.hidden_act]
        self.output = nn.Linear(config.intermediate_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, labels_BNW: Tensor) -> Tensor:
        return self.norm(labels_BNW + self.output(self.activation(self.input(labels_BNW))))


class TagLayer(nn.Module):
    """One layer of the tag head."""

    def __init__(self, config: RamConfig) -> None:
        super().__init__()
        self.cross_attention = CrossAttention(config)
        self.feed_forward = FeedForward(config)

    def forward(self, labels_BNW: Tensor, image_BLE: Tensor) -> Tensor:
        return self.feed_forward(self.cross_attention(labels_BNW, image_BLE))


class RamModel(PreTrainedModel):
    """RAM as far as tagging goes (its captioning half has no part in LION); see the numbered path of this file.

    The label embeddings are a buffer, not a parameter: no optimiser can move them. In the released RAM they are CLIP
    text embeddings of descriptions of each tag, which allows tags it was not trained on; where none are loaded they
    are random rows of unit variance, which suffices for a closed list of tags.

    Source: "Recognize Anything" (arXiv 2306.03514), section 3; released ``generate_tag``, whose logits it reproduces.
    """

    config_class = RamConfig
    base_model_prefix = "ram"
    main_input_name = "pixel_values"
    _supports_sdpa = True
    _no_split_modules = ["SwinStage", "TagLayer"]  # noqa: RUF012 - the name and form transformers reads

    def __init__(self, config: RamConfig) -> None:
        super().__init__(config)
        self.swin = SwinModel(config.vision_config)
        if config.patch_stem == "convolutional":
            patches = self.swin.embeddings.patch_embeddings
            patches.projection = ConvolutionalStem(config.vision_config.patch_size, config.vision_config.embed_dim)
        self.image_proj = nn.Linear(config.vision_config.hidden_size, config.label_width)
        self.label_embed: Tensor
        self.register_buffer("label_embed", torch.empty(len(config.tags), config.label_width))
        self.wordvec_proj = nn.Linear(config.label_width, config.hidden_size)
        self.layers = nn.ModuleList(TagLayer(config) for _ in range(config.num_hidden_layers))
        self.fc = nn.Linear(config.hidden_size, 1)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, RamModel):
            init.normal_(module.label_embed)

    def forward(self, pixel_values: Tensor, **kwargs: Any) -> ImageClassifierOutput:
        """Normalised pixels (B, 3, S, S) to ``.logits`` (B, N), in class order; for the loss see `asymmetric_loss`.

        The one entry of ``.hidden_states`` is what the head read: the image tokens, (B, L, E).
        """
        seen = self.swin(pixel_values, **kwargs)
        tokens_BLC = torch.cat([seen.pooler_output.unsqueeze(1), seen.last_hidden_state], dim=1)
        image_BLE = self.image_proj(tokens_BLC)
        labels_NW = functional.relu(self.wordvec_proj(self.label_embed))
        labels_BNW = labels_NW.expand(len(pixel_values), -1, -1)
        for layer in self.layers:
            labels_BNW = layer(labels_BNW, image_BLE)
        return ImageClassifierOutput(logits=self.fc(labels_BNW).squeeze(-1), hidden_states=(image_BLE,))


AutoConfig.register(RamConfig.model_type, RamConfig, exist_ok=True)
AutoModel.register(RamConfig, RamModel, exist_ok=True)
