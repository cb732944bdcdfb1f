"""LION, composed. From picture to answer, in the paper's words:

1. The frozen **Vision Encoder** turns pixels (B, 3, S, S) into block outputs V_39, V_29, V_19, each (B, P, V).
2. The **Vision Aggregator** fuses the three into fine-grained tokens (B, P, V); the **MLP** lifts them to (B, P, D).
3. The instruction-aware **Q-Former** reads V_39 in the light of the bare instruction: query tokens (B, Q, D).
4. The text "tag prompt + instruction" is embedded (B, T, D) and the **tag soft prompt** takes its slot.
5. ``[Q | P | T]`` enters the frozen **language model**, whose every feed-forward carries a **Mixture-of-Adapters**
   gated by each row's own task level; out comes the answer, boxes included, as text.

Steps 1 and 2 depend on the picture alone (:meth:`LionForConditionalGeneration.look`): look once, ask many times. To
choose among given answers (:meth:`LionForConditionalGeneration.score_candidates`), steps 3 to 5 up to the decoder run
once for all of them.

B batch, P patches + CLS (257), Q queries (32), T text tokens, N = Q + P + T, V vision width (1408), D language-model
width (2048 XL, 4096 XXL).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import Seq2SeqLMOutput

from lion.errors import LionError
from lion.model.candidate_scoring import Candidates, negative_log_likelihoods
from lion.model.configuration_lion import LionConfig
from lion.model.language_model import KEPT_IN_FLOAT32, LionLanguageModel
from lion.model.mlp import MLP
from lion.model.qformer import QFormer
from lion.model.tag_soft_prompt import TagSoftPrompt
from lion.model.vision_aggregator import Attention, FeedForward, VisionAggregator
from lion.model.vision_encoder import VisionEncoder

FROZEN = ("vision_encoder", "language_model")
"""Components that no stage trains."""

TRAINABLE = ("qformer", "vision_aggregator", "mlp", "image_adapter", "region_adapter", "router", "tag_soft_prompt")
"""Components that stages name as trainable."""

ALWAYS_FLOAT32 = (r".+\.mixture", r".+\.(vision_)?norm(?=\.|$)")
"""Parameters that half precision and quantisation leave in float32: adapters, routers and our own norms."""


@dataclass
class VisualFeatures:
    """What LION keeps of a picture: all that does not depend on the question.

    Attributes:
        last_BPV: deepest tap, un-normalised; the Q-Former reads it.
        aggregated_BPD: aggregator tokens in the language model's width; None where ``visual_inputs`` is ``qformer``.
    """

    last_BPV: Tensor
    aggregated_BPD: Tensor | None

    def __len__(self) -> int:
        return self.last_BPV.shape[0]

    def row(self, index: int) -> VisualFeatures:
        """One picture of the batch, in memory of its own."""
        return self.map(lambda tensor: tensor[index : index + 1].clone())

    def map(self, change: Callable[[Tensor], Tensor]) -> VisualFeatures:
        """Apply ``change`` to each tensor (pick rows, move, repeat)."""
        return VisualFeatures(
            change(self.last_BPV), None if self.aggregated_BPD is None else change(self.aggregated_BPD)
        )

    @staticmethod
    def concatenate(looks: Iterable[VisualFeatures]) -> VisualFeatures:
        """Join batches, in order."""
        looks = list(looks)
        aggregated = [look.aggregated_BPD for look in looks if look.aggregated_BPD is not None]
        return VisualFeatures(
            torch.cat([look.last_BPV for look in looks]), torch.cat(aggregated) if aggregated else None
        )


class LionPreTrainedModel(PreTrainedModel):
    """Loading, saving and the start values of everything that is ours."""

    config_class = LionConfig
    base_model_prefix = "lion"
    main_input_name = "pixel_values"
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    # Two lists because transformers reads two: the first in float16 and as what 8- and 4-bit loading leaves alone, the
    # second in bfloat16 too. Patterns must fit both readings: searched in a parameter's name, matched to a module's.
    _keep_in_fp32_modules = (*KEPT_IN_FLOAT32, *ALWAYS_FLOAT32)
    _keep_in_fp32_modules_strict = ALWAYS_FLOAT32
    _no_split_modules = ["AdaptedT5Block", "InstructBlipEncoderLayer", "InstructBlipQFormerLayer", "VisionAggregator"]  # noqa: RUF012

    @classmethod
    def is_custom_code(cls) -> bool:
        """False: for custom code transformers skips the start values of modules that hold no tensor of their own."""
        return False

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Start values as published: zero where a path must begin by adding nothing (adapters: language_model.py)."""
        super()._init_weights(module)
        std = self.config.initializer_range
        match module:
            case Attention() | FeedForward():
                init.zeros_(module.output.weight)
            case QFormer():
                init.normal_(module.queries, std=std)
            case TagSoftPrompt():
                init.normal_(module.vector, std=std)


class LionForConditionalGeneration(LionPreTrainedModel, GenerationMixin):
    """The whole model; see the numbered path at the top of this file.

    ``task_levels`` (B,) names each row's :class:`~lion.model.task_level.TaskLevel`; a batch may mix them.
    """

    accepts_loss_kwargs = False
    """For transformers' Trainer: the loss is the batch's mean whatever it is told, so accumulation has to divide it."""

    def __init__(self, config: LionConfig) -> None:
        super().__init__(config)
        vision_width, language_width = config.vision_config.hidden_size, config.text_config.d_model
        self.vision_encoder = VisionEncoder(config.vision_config, config.taps, config.patch_stem)
        self.qformer = QFormer(
            config.qformer_config, config.num_query_tokens, vision_width, language_width, config.connector_norm_eps
        )
        self.vision_aggregator = VisionAggregator(
            vision_width, len(config.taps), config.aggregator_config, config.connector_norm_eps
        )
        self.mlp = MLP(vision_width, language_width)
        self.tag_soft_prompt = TagSoftPrompt(language_width, config.soft_prompt_token_id)
        self.language_model = LionLanguageModel(config.text_config, config.adapter_bottleneck)
        self.post_init()

    def look(self, pixel_values: Tensor) -> VisualFeatures:
        """Steps 1 and 2: pixels (B, 3, S, S) to what is kept of the pictures. No gradient reaches the frozen ViT."""
        with torch.no_grad():
            taps_BPV = self.vision_encoder(pixel_values)
        if self.config.visual_inputs == "qformer":
            return VisualFeatures(taps_BPV[0], None)
        return VisualFeatures(taps_BPV[0], self.mlp(self.vision_aggregator(taps_BPV)))

    def embed(
        self,
        vision: VisualFeatures,
        input_ids: Tensor,
        attention_mask: Tensor,
        qformer_input_ids: Tensor | None,
        qformer_attention_mask: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Steps 3 to 5: what the language model reads, (B, N, D), and its mask (B, N)."""
        if len(vision) != len(input_ids):
            raise ValueError(f"{len(vision)} pictures for {len(input_ids)} prompts; repeat rows so that they match")
        embeddings_BTD = self.tag_soft_prompt(self.language_model.shared(input_ids), input_ids)
        parts = [embeddings_BTD]
        if self.config.visual_inputs != "qformer":
            parts.insert(0, vision.aggregated_BPD)
        if self.config.visual_inputs != "aggregator":
            if qformer_input_ids is None or qformer_attention_mask is None:
                raise ValueError("the Q-Former reads the instruction: pass qformer_input_ids and its attention mask")
            parts.insert(0, self.qformer(vision.last_BPV, qformer_input_ids, qformer_attention_mask))
        inputs_BND = torch.cat([part.to(embeddings_BTD) for part in parts], dim=1)
        visual = inputs_BND.shape[1] - input_ids.shape[1]
        return inputs_BND, nn.functional.pad(attention_mask, (visual, 0), value=1)

    def forward(
        self,
        pixel_values: Tensor | None = None,
        input_ids: Tensor = None,  # type: ignore[assignment]  # needed; transformers' callers name every argument
        attention_mask: Tensor = None,  # type: ignore[assignment]
        qformer_input_ids: Tensor | None = None,
        qformer_attention_mask: Tensor | None = None,
        task_levels: Tensor | None = None,
        labels: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        vision: VisualFeatures | None = None,
        **kwargs: Any,
    ) -> Seq2SeqLMOutput:
        """Teacher-forced pass.

        Args:
            pixel_values: (B, 3, S, S); or give ``vision``, the result of :meth:`look`.
            input_ids, attention_mask: tag prompt + instruction, (B, T), right-padded.
            qformer_input_ids, qformer_attention_mask: the bare instruction in BERT's tokens, (B, T').
            task_levels: (B,) values of :class:`~lion.model.task_level.TaskLevel`.
            labels: answer ids (B, A), -100 on padding; the loss is the mean over answer tokens.
            decoder_attention_mask: (B, A); by default the released choice, ``labels != -100``.

        Raises:
            ValueError: no picture, no task levels; levels, pictures or labels that do not match the rows.
        """
        vision = self._checked(pixel_values, vision, task_levels, input_ids)
        if labels is not None and len(labels) != len(input_ids):
            raise ValueError(f"{len(labels)} rows of labels for {len(input_ids)} prompts; give one each")
        inputs_embeds, mask = self.embed(vision, input_ids, attention_mask, qformer_input_ids, qformer_attention_mask)
        if labels is not None and decoder_attention_mask is None:
            decoder_attention_mask = (labels != -100).long()
        return self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=mask,
            labels=labels,
            decoder_attention_mask=decoder_attention_mask,
            task_levels=task_levels,
            **kwargs,
        )

    @torch.no_grad()
    def generate(
        self,
        pixel_values: Tensor | None = None,
        input_ids: Tensor = None,  # type: ignore[assignment]  # needed; transformers' callers name every argument
        attention_mask: Tensor = None,  # type: ignore[assignment]
        qformer_input_ids: Tensor | None = None,
        qformer_attention_mask: Tensor | None = None,
        task_levels: Tensor | None = None,
        vision: VisualFeatures | None = None,
        **generate_kwargs: Any,
    ) -> Any:
        """Answers as ids; all of transformers' generation arguments (beams, sampling, streamers, ...) are accepted.

        Inputs and errors as for :meth:`forward`.
        """
        vision = self._checked(pixel_values, vision, task_levels, input_ids)
        inputs_embeds, mask = self.embed(vision, input_ids, attention_mask, qformer_input_ids, qformer_attention_mask)
        generation_config = copy.deepcopy(generate_kwargs.pop("generation_config", None) or self.generation_config)
        other_kwargs = generation_config.update(**generate_kwargs)
        return self.language_model.generate(
            inputs_embeds=inputs_embeds,
            attention_mask=mask,
            task_levels=task_levels,
            generation_config=generation_config,
            **other_kwargs,
        )

    @torch.no_grad()
    def score_candidates(
        self,
        pixel_values: Tensor | None = None,
        input_ids: Tensor = None,  # type: ignore[assignment]  # needed, as above
        attention_mask: Tensor = None,  # type: ignore[assignment]
        qformer_input_ids: Tensor | None = None,
        qformer_attention_mask: Tensor | None = None,
        task_levels: Tensor | None = None,
        vision: VisualFeatures | None = None,
        *,
        candidates: Candidates,
    ) -> list[Tensor]:
        """How likely each prompt's candidate answers are; picture and prompt are encoded once for all of them.

        Args:
            candidates: for each of the B rows one or more answers as token ids, ``</s>`` last; their number may differ
                from row to row, and duplicates are fine. The other inputs are as for :meth:`forward`.

        Returns:
            For each row (K,) float32: each candidate's negative log-likelihood in nats, summed over its tokens with
            ``</s>``, in the given order. Divide by the number of ids for a mean. Equal to what :meth:`forward` gives
            one by one, in evaluation mode.

        Raises:
            LionError: a row without candidates, a candidate without tokens.
            ValueError: as :meth:`forward`; candidates of more or fewer rows than there are.

        Source: how InstructBLIP ranks VisDial's answers (LAVIS ``predict_class``): sums, no length normalisation.
        """
        vision = self._checked(pixel_values, vision, task_levels, input_ids)
        assert task_levels is not None
        if len(candidates) != len(input_ids):
            raise ValueError(
                f"candidates for {len(candidates)} rows and {len(input_ids)} prompts; give a list for each"
            )
        for row, answers in enumerate(candidates):
            if not answers or not all(map(len, answers)):
                lack = "has no candidates" if not answers else "has a candidate without tokens"
                raise LionError(f"row {row} {lack}; give each prompt answers that end in </s>")
        inputs_embeds, mask = self.embed(vision, input_ids, attention_mask, qformer_input_ids, qformer_attention_mask)
        return negative_log_likelihoods(self.language_model, inputs_embeds, mask, task_levels, candidates)

    def _checked(
        self,
        pixel_values: Tensor | None,
        vision: VisualFeatures | None,
        task_levels: Tensor | None,
        input_ids: Tensor,
    ) -> VisualFeatures:
        """What is kept of the pictures, once the arguments agree with one another."""
        if task_levels is None or tuple(task_levels.shape) != (len(input_ids),):
            shape = None if task_levels is None else tuple(task_levels.shape)
            raise ValueError(
                f"task_levels must name one level per row, shape ({len(input_ids)},), got {shape}; "
                'the processor makes them of tasks="vqa" (or caption, dialog, rec, reg; a list for a mixed batch)'
            )
        if vision is not None and pixel_values is None:
            return vision
        if pixel_values is not None and vision is None:
            return self.look(pixel_values)
        raise ValueError("pass either pixel_values or vision (the result of look), and not both")

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        return self.language_model.lm_head

    def set_output_embeddings(self, value: nn.Module) -> None:
        self.language_model.lm_head = value

    def component_parameters(self, component: str) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and parameters of one component of :data:`FROZEN` or :data:`TRAINABLE`; together they are all.

        Adapters and routers live inside the language model's blocks but are components of their own.

        Raises:
            ValueError: unknown component.
        """
        if component not in FROZEN + TRAINABLE:
            raise ValueError(f"unknown component {component!r}; one of {', '.join(FROZEN + TRAINABLE)}")
        for name, parameter in self.named_parameters():
            if component_of(name) == component:
                yield name, parameter

    def train(self, mode: bool = True) -> LionForConditionalGeneration:
        """Training mode, except for the ViT, which always runs in evaluation mode as released."""
        super().train(mode)
        self.vision_encoder.eval()
        return self


def component_of(parameter_name: str) -> str:
    """The component a parameter of :class:`LionForConditionalGeneration` belongs to."""
    parts = parameter_name.split(".")
    return parts[parts.index("mixture") + 1] if "mixture" in parts else parts[0]
