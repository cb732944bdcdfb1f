"""What a shallow model shows of a deep one is what the deep one takes, and frozen parts cost no gradient."""

from dataclasses import replace

import pytest
import torch

from lion.model import LionConfig
from lion.nn.row_losses import NUMBERS
from lion.train.plan import tally
from lion.train.plan.tally import Pass, count_loss, count_pass
from lion.train.stages import STAGES
from tools.measure_memory import config_of

ONE = Pass(STAGES["stage3"].trainable, torch.bfloat16, 12, 6)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("visual_inputs", ["both", "aggregator"])
def test_few_blocks_tell_what_many_take(monkeypatch, checkpointing, visual_inputs):
    config = config_of(64, 8)
    config.visual_inputs = visual_inputs
    one = replace(ONE, checkpointing=checkpointing)
    if visual_inputs == "aggregator":
        one = replace(one, trained=STAGES["stage2"].trainable)
    guess = count_pass(config, one)
    monkeypatch.setattr(tally, "_shallow", lambda deep: (deep, dict.fromkeys(tally.STACKS, 0)))
    real = count_pass(config, one)
    assert guess.flops == real.flops and guess.copies == pytest.approx(real.copies, rel=0.01)
    assert real.kept <= guess.kept <= 1.001 * real.kept


def test_frozen_weights_in_bfloat16_need_no_copies():
    wide, narrow = (count_pass(config_of(64, 6), replace(ONE, frozen=held)) for held in ("fp32", "bf16"))
    assert (narrow.kept, narrow.flops) == (wide.kept, wide.flops) and narrow.copies < 0.6 * wide.copies


def test_the_loss_takes_logits_and_gradient_in_their_own_precision_and_a_chunk():
    words, rows = 32_128, 24
    one = replace(ONE, answer_tokens=128)
    logits, chunk = 2 * words * rows * 128, 4 * NUMBERS
    assert 2 * logits < count_loss(words, one, rows) < 2 * logits + 5 * chunk
    exact = replace(one, dtype=torch.float32)
    assert 4 * logits < count_loss(words, exact, rows) < 4 * logits + 5 * chunk


def test_checkpointing_keeps_less_and_computes_more():
    kept, again = (count_pass(config_of(64, 6), replace(ONE, checkpointing=flag)) for flag in (False, True))
    assert again.kept < 0.5 * kept.kept and again.copies < kept.copies and again.flops > kept.flops


def test_frozen_parts_take_no_part_in_the_backward_pass():
    config = LionConfig.tiny()
    less = count_pass(config, replace(ONE, trained=("router",)))
    assert less.flops < count_pass(config, ONE).flops
