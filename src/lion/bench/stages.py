"""The pipeline's steps and whole answers by batch size, beside the machine's limits.

Pictures are drawn scenes, always the same ones, and new to the pipeline in every pass: nothing comes from its cache.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from PIL import Image

from lion.bench.limits import Limits, product_speed, read_speed
from lion.bench.timing import MemoryGauge, Spread, stopwatch, take_turns
from lion.bench.work import bytes_per_token, encode_products, flops, look_products
from lion.model import VisualFeatures
from lion.pipeline import DecodingPreset, LionPipeline, Prompt, Request, Verb, prepare
from lion.pipeline.decode import generate
from lion.world import COLOURS, Scene, render, scene
from lion.world.language import describe

BATCHES = (1, 8, 32)
PASS = 8
"""Pictures of a pass at least, in batches one after another."""
TOKENS = 20
"""Most tokens of an answer in the steps encode and decode, which are greedy."""
OWN_SHAPE_SECONDS = 0.3
"""Spent on a limit at the model's own shapes."""

STEPS = ("look", "tag", "encode", "decode")
"""Visual features, tags, the prompt up to the first token, further tokens."""
ANSWERS = ("caption", "locate", "ask", "rank")
"""Whole answers; ``rank`` puts the world's colours in order."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One line of the result."""

    what: str
    """One of :data:`STEPS` or :data:`ANSWERS`."""
    batch: int
    pictures: int
    """Of a pass."""
    seconds: Spread
    """Of a pass."""
    memory: int
    """Largest memory in use, bytes: the process's, or the GPU's."""
    tokens: int | None = None
    """Generated in a pass."""
    unit: str | None = None
    """What ``work`` and limits count: ``FLOP`` (look, encode) or ``B``, bytes of weights read (decode, one row)."""
    work: float | None = None
    """Of a pass."""
    limit: float | None = None
    """The machine's, a second: big matrices, or memory that no cache holds."""
    own_limit: float | None = None
    """The same with matrices of the model's own sizes; where they fit into a cache, more than ``limit``."""

    @property
    def rate(self) -> Spread:
        """Pictures a second."""
        return self.seconds.per(self.pictures)

    @property
    def token_rate(self) -> Spread | None:
        """Tokens a second."""
        return None if self.tokens is None else self.seconds.per(self.tokens)

    def share(self, limit: float | None) -> float | None:
        """Of a limit, what was reached."""
        return None if self.work is None or limit is None else self.work / self.seconds.median / limit


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture to ask about."""

    image: Image.Image
    scene: Scene

    def request(self, what: str) -> Request:
        """One of :data:`ANSWERS` about it."""
        if what == "caption":
            return Request(self.image, Verb.CAPTION)
        if what == "locate":
            return Request(self.image, Verb.LOCATE, f"the {describe(self.scene, 0)}")
        question = f"what color is the {self.scene.objects[0].category}?"
        return Request(self.image, Verb.ASK, question, candidates=COLOURS if what == "rank" else None)


def drawn(count: int, pixels: int = 256) -> list[Drawn]:
    """The first scenes of the test split."""
    scenes = [scene("test", index) for index in range(count)]
    return [Drawn(render(one, pixels), one) for one in scenes]


Measure = Callable[[LionPipeline, Sequence[Drawn], Limits, float], Iterator[Stage]]
"""Measures stages at the pipeline's batch size, in about so many seconds."""


def measure_stages(lion: LionPipeline, limits: Limits, seconds: float) -> Iterator[Stage]:
    """Measure every stage at every batch size, each when it is asked for.

    Args:
        lion: its cache is emptied, and its batch size changes.
        limits: of the threads that torch computes with.
        seconds: for all of it; slow models take longer, a pass of every stage at least.
    """
    pictures = drawn(max(BATCHES))
    whole: list[Measure] = [partial(answers, what=what) for what in ANSWERS]
    measures = [look, tag, encode_and_decode, *whole]
    share = seconds / (len(BATCHES) * len(measures))
    for stage in measures:
        for batch in BATCHES:
            lion.batch_size = batch
            yield from stage(lion, pictures, limits, share)


def look(lion: LionPipeline, pictures: Sequence[Drawn], limits: Limits, seconds: float) -> Iterator[Stage]:
    """Pictures to visual features: opened, resized, encoded."""
    images = [picture.image for picture in pictures]
    work = look_products(lion.model.config, lion.batch_size)

    def run(start: int) -> None:
        lion.cache.clear()
        lion.look(images[start : start + lion.batch_size], tags=False)

    count, taken, memory = _passes(lion, {"look": run}, seconds)
    yield Stage(
        "look", lion.batch_size, count, Spread.of(taken["look"]), memory,
        unit="FLOP",
        work=flops(work) * count / lion.batch_size,
        limit=limits.square,
        own_limit=product_speed(work, lion.model.device, lion.model.dtype, OWN_SHAPE_SECONDS),
    )  # fmt: skip


def tag(lion: LionPipeline, pictures: Sequence[Drawn], limits: Limits, seconds: float) -> Iterator[Stage]:
    """Pictures to tags; nothing for a model without a tagger."""
    if lion.tagger is None:
        return
    images = [picture.image for picture in pictures]

    def run(start: int) -> None:
        lion.cache.clear()
        lion.tags(images[start : start + lion.batch_size])

    count, taken, memory = _passes(lion, {"tag": run}, seconds)
    yield Stage("tag", lion.batch_size, count, Spread.of(taken["tag"]), memory)


def encode_and_decode(lion: LionPipeline, pictures: Sequence[Drawn], limits: Limits, seconds: float) -> Iterator[Stage]:
    """Caption prompts, pictures seen and tagged, to their first token; and what further tokens take on top."""
    prompts, features = prompts_of(lion, [picture.request("caption") for picture in pictures])
    ids: dict[int, list[list[int]]] = {}

    def run(tokens: int, start: int) -> None:
        rows = slice(start, start + lion.batch_size)
        preset = DecodingPreset(num_beams=1, max_new_tokens=tokens)
        ids[start] = generate(lion.decoder, prompts[rows], features.map(lambda tensor: tensor[rows]), preset)

    count, taken, memory = _passes(lion, {"first": partial(run, 1), "all": partial(run, TOKENS)}, seconds)
    lengths = [len(generated(row, lion)) for rows in ids.values() for row in rows]
    model = lion.model
    text, instruction = (
        round(sum(prompt.inputs[name].shape[1] for prompt in prompts) / len(prompts))
        for name in ("input_ids", "qformer_input_ids")
    )
    work = encode_products(model.config, lion.batch_size, text, instruction)
    yield Stage(
        "encode", lion.batch_size, count, Spread.of(taken["first"]), memory,
        unit="FLOP",
        work=flops(work) * count / lion.batch_size,
        limit=limits.square,
        own_limit=product_speed(work, model.device, model.dtype, OWN_SHAPE_SECONDS),
    )  # fmt: skip
    least = min(taken["first"])  # whatever else the machine did then, it took no less
    further = [max(both - least, both / 1000) for both in taken["all"]]
    tokens = sum(lengths) - len(lengths)
    one = lion.batch_size == 1
    size = bytes_per_token(model)
    yield Stage(
        "decode", lion.batch_size, count, Spread.of(further), memory,
        tokens=tokens,
        unit="B" if one else None,
        work=size * tokens if one else None,
        limit=limits.memory if one else None,
        own_limit=read_speed(size, model.device, model.dtype, OWN_SHAPE_SECONDS) if one else None,
    )  # fmt: skip


def answers(
    lion: LionPipeline, pictures: Sequence[Drawn], limits: Limits, seconds: float, what: str
) -> Iterator[Stage]:
    """Pictures to whole answers with the pipeline's own decoding."""
    requests = [picture.request(what) for picture in pictures]
    texts: dict[int, list[str]] = {}

    def run(start: int) -> None:
        lion.cache.clear()
        texts[start] = [answer.text for answer in lion.answer(requests[start : start + lion.batch_size])]

    count, taken, memory = _passes(lion, {"answer": run}, seconds)
    written = [text for rows in texts.values() for text in rows if what != "rank"]
    tokens = sum(map(len, lion.processor.tokenizer(written)["input_ids"])) if written else None
    yield Stage(what, lion.batch_size, count, Spread.of(taken["answer"]), memory, tokens=tokens)


def prompts_of(lion: LionPipeline, requests: Sequence[Request]) -> tuple[list[Prompt], VisualFeatures]:
    """Requests prepared and their pictures seen, one row each: what a decoder takes."""
    looks = lion.look([request.image for request in requests])
    prompts = [
        prepare(request, lion.processor, one.size, one.evidence.tags)
        for request, one in zip(requests, looks, strict=True)
    ]
    return prompts, VisualFeatures.concatenate([one.evidence.vision for one in looks if one.evidence.vision])


def generated(ids: Sequence[int], lion: LionPipeline) -> list[int]:
    """The generated tokens of a decoder's row, ``</s>`` included: without the start token and padding around them."""
    padding = lion.processor.tokenizer.pad_token_id
    real = [index for index, token in enumerate(ids) if token != padding]
    return list(ids[real[0] : real[-1] + 1]) if real else []


def _passes(
    lion: LionPipeline, runs: dict[str, Callable[[int], None]], seconds: float
) -> tuple[int, dict[str, list[float]], int]:
    """Measure calls over one batch, given the number of its first picture, in passes over several.

    Returns: pictures of a pass, seconds of every pass by name, and the largest memory in use.
    """
    device = lion.model.device
    gauge = MemoryGauge(device)
    first = sum(stopwatch(partial(run, 0), device) for run in runs.values())
    fitting = int(seconds / 4 / first)  # a pass to warm up and three that count
    batches = max(1, min(fitting, PASS // lion.batch_size))
    starts = range(0, batches * lion.batch_size, lion.batch_size)

    def over_all(run: Callable[[int], None]) -> None:
        for start in starts:
            run(start)

    taken = take_turns({name: partial(over_all, run) for name, run in runs.items()}, seconds, device)
    return batches * lion.batch_size, taken, gauge.peak()
