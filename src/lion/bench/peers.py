"""LION and a peer in turn: equal shapes, random weights, the same pictures, tokens, beams and threads.

The shape is that of a base-sized model: ViT 12 x 768, Q-Former 6 x 768, T5 8 + 8 x 768. An answer has 20 tokens, no
more and no fewer.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BatchFeature,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipQFormerConfig,
    InstructBlipVisionConfig,
    T5Config,
    T5ForConditionalGeneration,
)

from lion.bench.stages import TOKENS, Drawn, drawn, generated
from lion.bench.timing import Spread, ratio, take_turns
from lion.checkpoints.finding import BUNDLED, bundled_folder
from lion.checkpoints.loading import load_processor
from lion.errors import LionError
from lion.model import LionConfig, LionForConditionalGeneration, LionImageProcessor, LionProcessor, VisualFeatures
from lion.model.configuration_lion import VisionAggregatorConfig
from lion.pipeline import Decoder, DecodingPreset, LionPipeline, Prompt, Request, TransformersDecoder, Verb, prepare
from lion.pipeline.decode import generate

CASES = ((1, 1), (1, 5), (8, 5))
"""Pictures at a time, and beams."""
TEXT = 24
"""Tokens of a prompt; with 32 queries 56 that the encoder reads, with 197 patches more 253."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What LION and its peer have in common."""

    width: int = 768
    heads: int = 12
    inner: int = 3072
    vision_layers: int = 12
    qformer_layers: int = 6
    text_inner: int = 2048
    text_layers: int = 8
    vocabulary: int = 32128
    queries: int = 32
    pixels: int = 224
    patch: int = 16

    def vision(self) -> InstructBlipVisionConfig:
        """Of the ViT."""
        return InstructBlipVisionConfig(
            hidden_size=self.width,
            num_attention_heads=self.heads,
            intermediate_size=self.inner,
            num_hidden_layers=self.vision_layers,
            image_size=self.pixels,
            patch_size=self.patch,
        )

    def qformer(self) -> InstructBlipQFormerConfig:
        """Of the Q-Former."""
        return InstructBlipQFormerConfig(
            hidden_size=self.width,
            num_attention_heads=self.heads,
            intermediate_size=self.inner,
            num_hidden_layers=self.qformer_layers,
            encoder_hidden_size=self.width,
        )

    def text(self) -> T5Config:
        """Of the language model."""
        return T5Config(
            d_model=self.width,
            num_heads=self.heads,
            d_kv=self.width // self.heads,
            d_ff=self.text_inner,
            num_layers=self.text_layers,
            vocab_size=self.vocabulary,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=False,
            decoder_start_token_id=0,
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """One case of LION beside its peer."""

    against: str
    what: str
    pictures: int
    """In a batch."""
    beams: int
    ours: Spread
    """Seconds of LION's batch."""
    theirs: Spread
    speed: Spread
    """How many times as fast LION is, round by round."""
    same: bool | None
    """Whether the tokens are the same; None where the weights are not."""


Ids = list[list[int]]
Run = Callable[[int, int], Ids | None]
"""Answers for so many pictures with so many beams; None where nothing has to be the same."""


def against_generate(lion: LionPipeline, seconds: float, shape: Shape) -> Iterator[Comparison]:
    """The pipeline's decoder beside transformers' ``generate``, pictures already seen: of the given model, with
    captions that end by themselves, and of one with the shape."""
    random = random_lion(shape, "both", lion)
    for name, model in ((lion.name, lion), (f"{shape.width} wide", random)):
        pictures = drawn(CASES[-1][0])
        prompts = [_prompt(model, picture) if model is lion else _random_prompt(model, TEXT) for picture in pictures]
        features = _features(model, pictures)

        def run(decoder: Decoder, count: int, beams: int, prompts: Any = prompts, features: Any = features) -> Ids:
            rows = features.map(lambda tensor: tensor[:count])
            return generate(decoder, prompts[:count], rows, DecodingPreset(beams, TOKENS))

        ours = partial(run, model.decoder)
        theirs = partial(run, TransformersDecoder(model.model, model.processor))
        yield from _compare("generate", f"{name}: prompt to tokens", ours, theirs, model, seconds / 2)


def against_instructblip(lion: LionPipeline, seconds: float, shape: Shape) -> Iterator[Comparison]:
    """Pictures to tokens beside transformers' InstructBLIP, with the Q-Former alone, which is all that it has, and with
    both visual inputs."""
    placeholder = shape.vocabulary - 1  # in no prompt
    config = InstructBlipConfig(
        vision_config=shape.vision(),
        qformer_config=shape.qformer(),
        text_config=shape.text(),
        num_query_tokens=shape.queries,
        image_token_index=placeholder,
    )
    torch.manual_seed(0)
    peer = InstructBlipForConditionalGeneration(config).eval().to(lion.model.device, lion.model.dtype)
    pictures = drawn(CASES[-1][0], shape.pixels)
    for visual_inputs, words in (("qformer", "Q-Former alone"), ("both", "both inputs")):
        ours = random_lion(shape, visual_inputs, lion)
        prompt = _random_prompt(ours, TEXT)

        def answer(count: int, beams: int, ours: LionPipeline = ours, prompt: Prompt = prompt) -> None:
            ours.cache.clear()
            features = _features(ours, pictures[:count])
            rows = generate(ours.decoder, [prompt] * count, features, DecodingPreset(beams, TOKENS))
            assert all(len(generated(row, ours)) == TOKENS for row in rows)

        def answer_as_peer(count: int, beams: int, ours: LionPipeline = ours, prompt: Prompt = prompt) -> None:
            pixels = ours.processor.image_processor([picture.image for picture in pictures[:count]])["pixel_values"]
            slots = torch.full((1, shape.queries), placeholder)
            ids = torch.cat([slots, prompt.inputs["input_ids"]], dim=1).repeat(count, 1)
            instruction = prompt.inputs["qformer_input_ids"].repeat(count, 1)
            batch = {"input_ids": ids, "qformer_input_ids": instruction}
            masks = {name.replace("input_ids", "attention_mask"): torch.ones_like(one) for name, one in batch.items()}
            batch = {name: one.to(peer.device) for name, one in (batch | masks).items()}
            length = {"min_new_tokens": TOKENS, "max_new_tokens": TOKENS}
            rows = peer.generate(pixels.to(peer.device, peer.dtype), **batch, **length, num_beams=beams)
            assert rows.shape == (count, TOKENS + 1)

        yield from _compare("instructblip", f"{words}: picture to tokens", answer, answer_as_peer, ours, seconds / 2)


def against_ctranslate2(lion: LionPipeline, seconds: float, shape: Shape) -> Iterator[Comparison]:
    """The language model beside a plain T5 in CTranslate2, which has no adapters: as many tokens in the encoder, where
    LION's are patches and text."""
    if find_spec("ctranslate2") is None:
        raise LionError("--against ctranslate2 needs its package: pip install ctranslate2")
    import ctranslate2

    device = lion.model.device
    kinds = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        T5ForConditionalGeneration(shape.text()).save_pretrained(folder)
        lion_mini_processor().tokenizer.save_pretrained(folder)
        converted = ctranslate2.converters.TransformersConverter(folder).convert(str(Path(folder, "converted")))
        peer = ctranslate2.Translator(
            converted,
            device=device.type,
            compute_type=kinds[lion.model.dtype],
            inter_threads=1,
            intra_threads=torch.get_num_threads(),
        )
    for side, text in ((5, 30), (shape.pixels // shape.patch, 56)):
        ours = random_lion(replace(shape, pixels=side * shape.patch), "aggregator", lion)
        pictures = drawn(CASES[-1][0], max(side * shape.patch, 32))
        prompt, features = _random_prompt(ours, text), _features(ours, pictures)

        def run(count: int, beams: int, ours: Any = ours, prompt: Any = prompt, features: Any = features) -> None:
            rows = features.map(lambda tensor: tensor[:count])
            ids = generate(ours.decoder, [prompt] * count, rows, DecodingPreset(beams, TOKENS))
            assert all(len(generated(row, ours)) == TOKENS for row in ids)

        source = side**2 + 1 + text
        words = [f"<extra_id_{number % 99}>" for number in range(source)]

        def run_peer(count: int, beams: int, words: list[str] = words) -> None:
            rows = peer.translate_batch(
                [words] * count,
                beam_size=beams,
                min_decoding_length=TOKENS,
                max_decoding_length=TOKENS,
                max_input_length=0,
            )
            assert all(len(row.hypotheses[0]) == TOKENS for row in rows)

        yield from _compare("ctranslate2", f"{source} tokens to {TOKENS}", run, run_peer, ours, seconds / 2)


PEERS = {"generate": against_generate, "instructblip": against_instructblip, "ctranslate2": against_ctranslate2}
"""Peers by name: functions of the pipeline (whose device and precision count, and whose model meets ``generate``), the
seconds to spend and the shape, which yield a comparison for each case as it is measured."""


def lion_mini_processor() -> LionProcessor:
    """The one that comes with LION; its tokens are as good as any for weights that mean nothing."""
    return load_processor(bundled_folder(), BUNDLED)


def random_lion(shape: Shape, visual_inputs: str, like: LionPipeline) -> LionPipeline:
    """A LION with random weights, whose answers have as many tokens as they may; device and precision of another."""
    config = LionConfig(
        vision_config=shape.vision(),
        qformer_config=shape.qformer(),
        text_config=shape.text(),
        aggregator_config=VisionAggregatorConfig(num_attention_heads=shape.heads, intermediate_size=shape.inner),
        taps=tuple(max(1, round(shape.vision_layers * part)) for part in (1, 3 / 4, 1 / 2)),
        num_query_tokens=shape.queries,
        visual_inputs=visual_inputs,
        soft_prompt_token_id=shape.vocabulary - 1,
    )
    torch.manual_seed(0)
    model = LionForConditionalGeneration(config)
    with torch.no_grad():  # `</s>` and padding score 0, which is never the best of thousands
        model.language_model.lm_head.weight[:2] = 0
    mini = lion_mini_processor()
    processor = LionProcessor(LionImageProcessor(image_size=shape.pixels), mini.tokenizer, mini.qformer_tokenizer)
    return LionPipeline(model.to(like.model.device, like.model.dtype), processor, name="random weights")


def _features(lion: LionPipeline, pictures: Sequence[Drawn]) -> VisualFeatures:
    """Of pictures seen, one row each."""
    looks = lion.look([picture.image for picture in pictures], tags=False)
    return VisualFeatures.concatenate([look.evidence.vision for look in looks if look.evidence.vision])


def _prompt(lion: LionPipeline, picture: Drawn) -> Prompt:
    """A caption's, with the tagger's tags."""
    look = lion.look(picture.image)
    return prepare(Request(look, Verb.CAPTION), lion.processor, look.size, look.evidence.tags)


def _random_prompt(lion: LionPipeline, text: int) -> Prompt:
    """Of so many tokens, for language model and Q-Former alike."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(3, lion.model.config.text_config.vocab_size // 2, (1, text), generator=generator)
    ones = torch.ones_like(ids)
    inputs = {"input_ids": ids, "attention_mask": ones, "qformer_input_ids": ids, "qformer_attention_mask": ones}
    worded = prepare(Request(drawn(1)[0].image, Verb.CAPTION), lion.processor, (1, 1))
    return replace(worded, inputs=BatchFeature({**inputs, "task_levels": worded.inputs["task_levels"]}))


def _compare(
    against: str, what: str, ours: Run, theirs: Run, lion: LionPipeline, seconds: float
) -> Iterator[Comparison]:
    """Both in turn, case by case."""
    for pictures, beams in CASES:
        ids: dict[str, Ids | None] = {}

        def run(side: str, answer: Run, pictures: int = pictures, beams: int = beams, ids: Any = ids) -> None:
            ids[side] = answer(pictures, beams)

        runs = {"ours": partial(run, "ours", ours), "theirs": partial(run, "theirs", theirs)}
        taken = take_turns(runs, seconds / len(CASES), lion.model.device)
        rows = [[generated(row, lion) for row in side] for side in ids.values() if side is not None]
        yield Comparison(
            against, what, pictures, beams, Spread.of(taken["ours"]), Spread.of(taken["theirs"]),
            speed=ratio(taken["theirs"], taken["ours"]), same=rows[0] == rows[1] if rows else None,
        )  # fmt: skip
