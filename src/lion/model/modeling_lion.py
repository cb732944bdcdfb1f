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

import copy
from collections.abc import Collection, Iterator
from typing import Any, Self, Unpack

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.utils.generic import can_return_tuple

from lion.errors import warn_of_domain
from lion.model.candidate_scoring import Candidates, negative_log_likelihoods
from lion.model.configuration_lion import LionConfig
from lion.model.inputs_outputs import LanguageModelInputs, LionImageFeatures, LionInputs, LionOutput, VisualFeatures
from lion.model.language_model import KEPT_IN_FLOAT32, LionLanguageModel, OwnStartValues
from lion.model.qformer import QFormer
from lion.model.tag_soft_prompt import TagSoftPrompt
from lion.model.vision_aggregator import MLP, Attention, FeedForward, VisionAggregator
from lion.model.vision_encoder import VisionEncoder
from lion.nn.row_losses import row_losses

FROZEN = ("vision_encoder", "language_model")
"""Components that no stage trains."""

TRAINABLE = ("qformer", "vision_aggregator", "mlp", "image_adapter", "region_adapter", "router", "tag_soft_prompt")
"""Components that stages name as trainable."""

UNREAD = {"both": (), "qformer": ("vision_aggregator", "mlp"), "aggregator": ("qformer",)}
"""Components that take no part in forward, for each value of ``visual_inputs``."""

ALWAYS_FLOAT32 = (r".+\.mixture", r".+\.(vision_)?norm(?=\.|$)")
"""Parameters that half precision and quantisation leave in float32: adapters, routers and our own norms."""


class LionForConditionalGeneration(OwnStartValues, PreTrainedModel, GenerationMixin):
    """The whole model; see the numbered path at the top of this file."""

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
    accepts_loss_kwargs = False
    """For transformers' Trainer: the loss is always the batch's mean, so gradient accumulation has to divide it."""

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
        self._freeze("vision_encoder", *UNREAD[config.visual_inputs])

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """As transformers' own, which makes every parameter trainable again; see :meth:`look`.

        Warns: DrawnScenesWarning where the model is lion-mini or made from it.
        """
        loaded = super().from_pretrained(*args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded  # with output_loading_info
        model._freeze("vision_encoder", *UNREAD[model.config.visual_inputs])
        if model.config.domain:
            warn_of_domain(model.config.domain)
        return loaded

    def _freeze(self, *components: str) -> None:
        for name, parameter in self.named_parameters():
            if component_of(name) in components:
                parameter.requires_grad_(False)

    def freeze(self, trainable: Collection[str] = TRAINABLE) -> Self:
        """Make only these components trainable: by default what the paper trains, so ViT and FLAN-T5 are frozen.

        For one of its stages name that stage's, such as ``("qformer", "image_adapter", "tag_soft_prompt")``. Components
        that ``visual_inputs`` leaves out stay frozen, as they would get no gradient.

        Raises: ValueError for an unknown component.
        """
        if unknown := set(trainable) - {*FROZEN, *TRAINABLE}:
            raise ValueError(f"unknown components {sorted(unknown)}; choose from {', '.join(FROZEN + TRAINABLE)}")
        self.requires_grad_(True)
        self._freeze(
            *UNREAD[self.config.visual_inputs], *(each for each in FROZEN + TRAINABLE if each not in trainable)
        )
        return self

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Start values as published; the aggregator begins by adding nothing (adapters: language_model.py)."""
        super()._init_weights(module)
        std = self.config.initializer_range
        match module:
            case Attention() | FeedForward():
                init.zeros_(module.output.weight)
            case QFormer():
                init.normal_(module.queries, std=std)
            case TagSoftPrompt():
                init.normal_(module.vector, std=std)

    def look(self, pixel_values: Tensor) -> VisualFeatures:
        """Steps 1 and 2: pixels (B, 3, S, S) to what depends on the picture alone, to be kept for several prompts.

        The Vision Encoder is frozen from the start (``requires_grad`` is False), as in the paper; whoever unfreezes it
        tunes it, since gradients pass through it like through any other part.
        """
        taps_BPV = self.vision_encoder(pixel_values)
        if self.config.visual_inputs == "qformer":
            return VisualFeatures(taps_BPV[0], None)
        return VisualFeatures(taps_BPV[0], self.mlp(self.vision_aggregator(taps_BPV)))

    @can_return_tuple  # type: ignore[untyped-decorator]
    def get_image_features(
        self,
        pixel_values: Tensor | None = None,
        qformer_input_ids: Tensor | None = None,
        qformer_attention_mask: Tensor | None = None,
        vision: VisualFeatures | None = None,
    ) -> LionImageFeatures:
        """Steps 1 to 3: the visual tokens. Arguments: :class:`LionInputs`; the Q-Former reads the instruction.

        Raises: ValueError for both or neither of ``pixel_values`` and ``vision``; no instruction for the Q-Former.
        """
        if vision is None and pixel_values is not None:
            vision = self.look(pixel_values)
        elif vision is None:
            raise ValueError("a picture is missing; the processor makes pixel_values of images=... (or pass vision)")
        elif pixel_values is not None:
            raise ValueError("pass either pixel_values or vision (the result of look), and not both")
        queries_BQD = None
        if self.config.visual_inputs != "aggregator":
            if qformer_input_ids is None:
                raise ValueError("the Q-Former reads the instruction: pass qformer_input_ids")
            if qformer_attention_mask is None:
                qformer_attention_mask = torch.ones_like(qformer_input_ids)
            queries_BQD = self.qformer(vision.last_BPV, qformer_input_ids, qformer_attention_mask)
        patches_BPD = None if self.config.visual_inputs == "qformer" else vision.aggregated_BPD
        tokens = [part for part in (queries_BQD, patches_BPD) if part is not None]
        return LionImageFeatures(
            last_hidden_state=vision.last_BPV,
            pooler_output=torch.cat([part.to(tokens[0].device) for part in tokens], dim=1),
            qformer_hidden_states=queries_BQD,
            aggregator_hidden_states=patches_BPD,
        )

    def embed(self, **inputs: Unpack[LionInputs]) -> tuple[Tensor, Tensor, LionImageFeatures]:
        """Steps 1 to 4: the language model's input ``[Q | P | T]`` (B, N, D), its mask (B, N) and the visual tokens.

        Raises: ValueError as :meth:`forward`, but for labels.
        """
        input_ids, attention_mask = inputs.pop("input_ids", None), inputs.pop("attention_mask", None)
        if input_ids is None:
            raise ValueError("input_ids hold the prompt; the processor makes them of text=...")
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        levels = inputs.pop("task_levels", None)
        if levels is None or tuple(levels.shape) != (len(input_ids),):
            raise ValueError(
                f"task_levels must name one level per row, shape ({len(input_ids)},), got "
                f"{None if levels is None else tuple(levels.shape)}; "
                'the processor makes them of tasks="vqa" (or caption, dialog, rec, reg; a list for a mixed batch)'
            )
        for pictures in (inputs.get("pixel_values"), inputs.get("vision")):
            if pictures is not None and len(pictures) != len(input_ids):
                raise ValueError(
                    f"{len(pictures)} pictures for {len(input_ids)} prompts; repeat rows so that they match"
                )
        text_BTD = self.tag_soft_prompt(self.language_model.shared(input_ids), input_ids)
        features = self.get_image_features(**inputs, return_dict=True)
        inputs_BND = torch.cat([features.pooler_output.to(text_BTD), text_BTD], dim=1)
        visual = features.pooler_output.shape[1]
        return inputs_BND, nn.functional.pad(attention_mask, (visual, 0), value=1), features

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        pixel_values: Tensor | None = None,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        qformer_input_ids: Tensor | None = None,
        qformer_attention_mask: Tensor | None = None,
        task_levels: Tensor | None = None,
        labels: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        vision: VisualFeatures | None = None,
        **kwargs: Unpack[LanguageModelInputs],
    ) -> LionOutput:
        """Teacher-forced pass. Arguments that :class:`LionInputs` holds are described there.

        Args:
            labels: answer ids (B, A), -100 on padding; the loss is the mean over answer tokens, computed in float32.
            decoder_attention_mask: (B, A); by default the released choice, ``labels != -100``.
            **kwargs: :class:`LanguageModelInputs`.

        Raises:
            TypeError: an argument that is none of these.
            ValueError: pictures, prompt or task levels are missing, or they or the labels do not match the rows.
        """
        # Named one by one, not as **LionInputs: transformers' Trainer drops the columns that this signature lacks.
        inputs_BND, mask, features = self.embed(
            pixel_values=pixel_values,
            vision=vision,
            input_ids=input_ids,
            attention_mask=attention_mask,
            qformer_input_ids=qformer_input_ids,
            qformer_attention_mask=qformer_attention_mask,
            task_levels=task_levels,
        )
        further = _for_language_model(kwargs)
        if labels is not None or self.training:
            further.setdefault("use_cache", False)  # T5's default would keep keys and values that nobody reads
        if labels is not None:
            if len(labels) != len(inputs_BND):
                raise ValueError(f"{len(labels)} rows of labels for {len(inputs_BND)} prompts; give one each")
            if decoder_attention_mask is None:
                decoder_attention_mask = (labels != -100).long()
            if not further.keys() & {"decoder_input_ids", "decoder_inputs_embeds"}:
                further["decoder_input_ids"] = self.language_model.prepare_decoder_input_ids_from_labels(labels)
        output = self.language_model(
            inputs_embeds=inputs_BND,
            attention_mask=mask,
            decoder_attention_mask=decoder_attention_mask,
            task_levels=task_levels,
            return_dict=True,
            **further,
        )
        if labels is not None:  # not by T5, whose loss has the precision of its logits
            labels_N = labels.flatten().to(output.logits.device)
            output["loss"] = row_losses(output.logits.flatten(0, 1), labels_N).sum() / (labels_N != -100).sum()
        return LionOutput(
            **output,
            qformer_hidden_states=features.qformer_hidden_states,
            aggregator_hidden_states=features.aggregator_hidden_states,
        )

    @torch.no_grad()
    def generate(self, pixel_values: Tensor | None = None, **kwargs: Any) -> Any:
        """Answers as ids. Arguments: :class:`LionInputs`, and those of transformers' ``generate`` (beams, ...).

        ``assistant_model`` is a LION of the same vocabulary, which looks at the picture itself (``pixel_values``), or
        a language model of the same width.

        Raises: ValueError as :meth:`forward`, and for an argument that is none of these.
        """
        inputs = LionInputs(pixel_values=pixel_values)
        inputs.update({name: kwargs.pop(name) for name in LionInputs.__annotations__ if name in kwargs})  # type: ignore[typeddict-item]
        inputs_embeds, mask, _ = self.embed(**inputs)
        if isinstance(assistant := kwargs.get("assistant_model"), LionForConditionalGeneration):
            kwargs["assistant_model"] = assistant.language_model
            kwargs["assistant_inputs_embeds"], kwargs["assistant_mask"], _ = assistant.embed(**inputs)
        generation_config = copy.deepcopy(kwargs.pop("generation_config", None) or self.generation_config)
        other_kwargs = generation_config.update(**kwargs)
        return self.language_model.generate(
            inputs_embeds=inputs_embeds,
            attention_mask=mask,
            task_levels=inputs["task_levels"],
            generation_config=generation_config,
            **other_kwargs,
        )

    @torch.no_grad()
    def score_candidates(self, *, candidates: Candidates, **inputs: Unpack[LionInputs]) -> list[Tensor]:
        """How likely each prompt's candidate answers are; picture and prompt are encoded once for all of them.

        Args:
            candidates: for each of the B rows K >= 1 answers as token ids, ``</s>`` last; K may differ.
            **inputs: see :class:`LionInputs`.

        Returns:
            For each row (K,) float32: the negative log-likelihoods in nats, summed over a candidate's tokens with
            ``</s>``; equal to what :meth:`forward` gives one by one in evaluation mode.

        Raises:
            LionError: a row without candidates, a candidate without tokens.
            ValueError: as :meth:`forward`; candidates of more or fewer rows than there are.

        Source: how InstructBLIP ranks VisDial's answers (LAVIS ``predict_class``): sums, no length normalisation.
        """
        inputs_embeds, mask, _ = self.embed(**inputs)
        levels = inputs["task_levels"]
        assert levels is not None
        return negative_log_likelihoods(self.language_model, inputs_embeds, mask, levels, candidates)

    def get_encoder(self, modality: str | None = None) -> Any:
        """The language model's encoder, or for ``modality="image"`` the Vision Encoder."""
        return super().get_encoder(modality) if modality else self.language_model.get_encoder()

    def get_decoder(self) -> nn.Module:
        return self.language_model.get_decoder()

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        return self.language_model.lm_head

    def set_output_embeddings(self, value: nn.Module) -> None:
        self.language_model.lm_head = value

    def component_parameters(self, component: str) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and parameters of one component of :data:`FROZEN` or :data:`TRAINABLE`.

        Adapters and routers, inside the language model's blocks, are components of their own.

        Raises: ValueError for an unknown component.
        """
        if component not in FROZEN + TRAINABLE:
            raise ValueError(f"unknown component {component!r}; one of {', '.join(FROZEN + TRAINABLE)}")
        for name, parameter in self.named_parameters():
            if component_of(name) == component:
                yield name, parameter

    def train(self, mode: bool = True) -> Self:
        """Training mode, except for the ViT, which always runs in evaluation mode as released."""
        super().train(mode)
        self.vision_encoder.eval()
        return self


def _for_language_model(arguments: LanguageModelInputs) -> dict[str, Any]:
    """Those that are given. Raises: TypeError for an unknown one, ValueError for ``inputs_embeds``."""
    if unknown := arguments.keys() - LanguageModelInputs.__annotations__:
        raise TypeError(f"forward() got an unexpected keyword argument '{min(unknown)}'")
    if arguments.get("inputs_embeds") is not None:
        raise ValueError("LION makes inputs_embeds itself; pass pixel_values and input_ids, or override embed")
    return {name: value for name, value in arguments.items() if value is not None}


def component_of(parameter_name: str) -> str:
    """The component a parameter of :class:`LionForConditionalGeneration` belongs to."""
    parts = parameter_name.split(".")
    return parts[parts.index("mixture") + 1] if "mixture" in parts else parts[0]
