"""Measure on a CPU what `lion train --dry-run --on` predicts: ``python -m tools.measure_memory``, minutes.

For three models between lion-mini and the released ones, a step of stage 3 with AdamW after one to make its state, with
and without checkpointing and frozen weights in bfloat16; measured is the most that torch's allocator had handed out at
a time, by its profiler.
"""

from itertools import product

import torch
from torch.profiler import ProfilerActivity, profile
from transformers import InstructBlipQFormerConfig, InstructBlipVisionConfig, T5Config

from lion.model import LionConfig, LionForConditionalGeneration
from lion.model.configuration_lion import VisionAggregatorConfig
from lion.provenance import commit, hardware
from lion.train.language_modelling import AnswerLoss
from lion.train.objective import Batch
from lion.train.parallel import autocast
from lion.train.params import make_optimizers
from lion.train.plan.plan import Counted
from lion.train.plan.tally import Pass, forward, longest_batch, prepare
from lion.train.recipe.schema import OptimizerSettings
from lion.train.stages import STAGES

SIZES = {"small": (256, 6, 8), "medium": (512, 8, 8), "large": (768, 8, 4)}
"""Width, depth of every stack, and rows of a batch."""


def config_of(width: int, depth: int) -> LionConfig:
    """A LION of one width, with the proportions of the released ones."""
    heads = width // 64
    shape = {"hidden_size": width, "num_attention_heads": heads, "num_hidden_layers": depth}
    return LionConfig(
        vision_config=InstructBlipVisionConfig(**shape, intermediate_size=4 * width, image_size=112, patch_size=14),
        qformer_config=InstructBlipQFormerConfig(**shape, intermediate_size=4 * width, vocab_size=8000),
        aggregator_config=VisionAggregatorConfig(num_attention_heads=heads, intermediate_size=2 * width),
        text_config=T5Config(
            d_model=width, d_ff=3 * width, num_heads=heads, num_layers=depth, num_decoder_layers=depth,
            vocab_size=32128, feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0,
        ),
        taps=(depth, depth - 1, depth - 2),
        soft_prompt_token_id=32099,
    )  # fmt: skip


def measured(config: LionConfig, one: Pass, rows: int) -> int:
    """The most bytes of tensors at a time in one optimizer step, weights and optimizer state included."""
    model = LionForConditionalGeneration(config)
    prepare(model, one)
    parts = {part: list(model.component_parameters(part)) for part in one.trained}
    optimizers = make_optimizers(parts, OptimizerSettings(lr=1e-4), {}, fused=False, dtype=torch.float32)
    inputs = longest_batch(config, one, rows)
    answers = Batch({"labels": inputs["labels"]}, [])

    def step() -> None:
        with autocast(torch.device("cpu"), one.dtype):
            loss = AnswerLoss()(forward(model, inputs), answers).total
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    step()
    state = [value for each in optimizers for kept in each.state.values() for value in kept.values()]
    before = sum(tensor.untyped_storage().nbytes() for tensor in [*model.parameters(), *model.buffers(), *state])
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step()
    events = [each for each in profiled.profiler.kineto_results.events() if each.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda each: each.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return before + most


def main() -> None:
    """Print the table, a row when it is there."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print(f"{hardware(torch.device('cpu'))}, {commit()}")
    print("| model | parameters | arithmetic | frozen | checkpointing | predicted, MB | measured, MB | off by |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, (width, depth, rows) in SIZES.items():
        config = config_of(width, depth)
        counted = Counted(config)
        for dtype, frozen, checkpointing in product((torch.float32, torch.bfloat16), ("fp32", "bf16"), (False, True)):
            if frozen == "bf16" and dtype == torch.float32:
                continue
            one = Pass(STAGES["stage3"].trainable, dtype, 48, 24, checkpointing, frozen)
            guess, real = counted.memory(one, rows).most(accumulating=False), measured(config, one, rows)
            cells = [name, f"{sum(counted.parts.values()) / 1e6:.0f} M", "fp32" if dtype == torch.float32 else "bf16"]
            cells += [frozen, "yes" if checkpointing else "no", f"{guess / 1e6:.0f}", f"{real / 1e6:.0f}"]
            print(f"| {' | '.join([*cells, f'{guess / real - 1:+.1%}'])} |", flush=True)


if __name__ == "__main__":
    main()
