"""Ranking 100 candidates against full forward passes in equal batches: ``python -m perf.measure_ranking``.

Prints rows for docs/numerics.md: lion-mini with a drawn scene, and random weights around a language model of middle
size that reads as many visual tokens as LION's (257 + 32). Both ways get the same pixels, prompt and candidates of one
to eight random tokens and ``</s>``; the full forward passes take ``--batch`` candidates at a time, each with its own
copy of pixels and prompt. Both ways take turns on one thread, and CPU time is counted, not what others let us wait.
"""

import argparse
import datetime
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from transformers import InstructBlipQFormerConfig, InstructBlipVisionConfig, T5Config

from lion import LionPipeline
from lion.model import LionConfig, LionForConditionalGeneration, TaskLevel, VisionAggregatorConfig
from lion.prompts import Task, instruction
from lion.provenance import commit, hardware, versions

CANDIDATES, LONGEST, END = 100, 8, 1
PICTURE = Path(__file__).parents[1] / "examples" / "scene.png"
ROUNDS = [("is there a kite?", "yes"), ("what color is it?", "red"), ("how many trees are there?", "2")]

Inputs = dict[str, Tensor]


def mini() -> tuple[LionForConditionalGeneration, Inputs]:
    """The bundled model, a picture and a dialog."""
    lion = LionPipeline.from_pretrained(device="cpu")
    words = instruction(Task.DIALOG, question="is the kite to the left of the tree?", history=ROUNDS)
    with Image.open(PICTURE) as image:
        inputs = lion.processor(images=image.convert("RGB"), text=words, tags=[["kite", "tree"]], tasks=Task.DIALOG)
    return lion.model, dict(inputs)


def middle() -> tuple[LionForConditionalGeneration, Inputs]:
    """Random weights: T5 of 8 + 8 layers and width 512, 257 + 32 visual tokens, a prompt of 64 tokens."""
    config = LionConfig(
        vision_config=InstructBlipVisionConfig(
            hidden_size=256,
            intermediate_size=1024,
            num_hidden_layers=6,
            num_attention_heads=4,
            image_size=224,
            patch_size=14,
        ),
        qformer_config=InstructBlipQFormerConfig(
            vocab_size=1000, hidden_size=256, intermediate_size=1024, num_hidden_layers=4, num_attention_heads=4
        ),
        aggregator_config=VisionAggregatorConfig(num_attention_heads=4, intermediate_size=512),
        text_config=T5Config(
            vocab_size=32128,
            d_model=512,
            d_kv=64,
            d_ff=1024,
            num_layers=8,
            num_heads=8,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=False,
            decoder_start_token_id=0,
        ),
        taps=(6, 4, 2),
    )
    inputs = {
        "pixel_values": torch.randn(1, 3, 224, 224),
        "input_ids": torch.randint(3, 32000, (1, 64)),
        "attention_mask": torch.ones(1, 64, dtype=torch.long),
        "qformer_input_ids": torch.randint(3, 1000, (1, 40)),
        "qformer_attention_mask": torch.ones(1, 40, dtype=torch.long),
        "task_levels": torch.tensor([TaskLevel.IMAGE]),
    }
    return LionForConditionalGeneration(config).eval(), inputs


@torch.no_grad()
def full_pass(model: LionForConditionalGeneration, inputs: Inputs, candidates: list[list[int]]) -> Tensor:
    """Negative log-likelihoods (K,) by ``forward``, which sees pixels and prompt with every candidate."""
    labels = torch.nn.utils.rnn.pad_sequence(list(map(torch.tensor, candidates)), True, padding_value=-100)
    repeated = {name: value.repeat(len(labels), *[1] * (value.ndim - 1)) for name, value in inputs.items()}
    logits = model(**repeated, labels=labels).logits
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return losses.view_as(labels).sum(1)


def timed(run: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Seconds of CPU, and the result."""
    begin = time.process_time()
    result = run()
    return time.process_time() - begin, result


def row(name: str, model: LionForConditionalGeneration, inputs: Inputs, batch: int, rounds: int) -> str:
    """A row of the table in docs/numerics.md: means over rounds, in which both ways take turns."""
    lengths = torch.randint(1, LONGEST + 1, (CANDIDATES,)).tolist()
    vocabulary = model.config.text_config.vocab_size
    candidates = [[*torch.randint(3, vocabulary, (length,)).tolist(), END] for length in lengths]
    starts = range(0, CANDIDATES, batch)
    shared = full = error = 0.0
    for start in [*starts] * rounds:
        part = slice(start, start + batch)
        seconds, theirs = timed(lambda part=part: full_pass(model, inputs, candidates[part]))
        full += seconds / rounds
        seconds, ours = timed(lambda: model.score_candidates(**inputs, candidates=[candidates])[0])
        shared += seconds / rounds / len(starts)
        error = max(error, float(((ours[part] - theirs) / theirs).abs().max()))
    where = f"{hardware(torch.device('cpu'))}, {datetime.date.today()}, {(commit() or 'no commit')[:7]}"
    return f"| {name} | {full:.2f} | {shared:.3f} | {full / shared:.1f} | {error:.0e} | {where} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=20, help="candidates of a full forward pass")
    batch = parser.parse_args().batch
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print(", ".join(f"{name} {number}" for name, number in versions().items()))
    print("| model | full passes, CPU s | candidates ranked, CPU s | ratio | largest relative difference | where |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, make, rounds in (("lion-mini", mini, 5), ("middle size, random weights", middle, 1)):
        print(row(name, *make(), batch, rounds), flush=True)


if __name__ == "__main__":
    main()
