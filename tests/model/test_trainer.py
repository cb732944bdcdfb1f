"""transformers' Trainer with LION: on two processes, with gradient checkpointing, from a checkpoint's own folder."""

import pytest
import torch

from lion.model import LionConfig, LionForConditionalGeneration
from tests.model.test_modeling_lion import inputs, labels
from tests.processes import torchrun

SCRIPT = """
import sys, torch
from transformers import Trainer, TrainingArguments
from lion.model import LionForConditionalGeneration

folder = sys.argv[1]
model = LionForConditionalGeneration.from_pretrained(folder + "/start")
batch = torch.load(folder + "/batch.pt")
rows = [{name: tensor[row] for name, tensor in batch.items()} for row in range(8)]
arguments = TrainingArguments(
    folder, max_steps=3, per_device_train_batch_size=2, gradient_checkpointing=True, use_cpu=True, report_to=[],
    save_strategy="no", disable_tqdm=True, ddp_backend="gloo",
)
print("steps", Trainer(model, arguments, train_dataset=rows).train().global_step)
"""


@pytest.mark.slow
@pytest.mark.parametrize("visual_inputs", ["both", "qformer"])
def test_two_processes_with_gradient_checkpointing(tmp_path, visual_inputs):
    config = LionConfig.tiny()
    config.visual_inputs = visual_inputs
    LionForConditionalGeneration(config).save_pretrained(tmp_path / "start")
    torch.save(inputs(rows=8) | {"labels": labels(8)}, tmp_path / "batch.pt")
    script = tmp_path / "train.py"
    script.write_text(SCRIPT, encoding="utf-8")
    done = torchrun(2, script, tmp_path)
    assert done.returncode == 0 and done.stdout.count("steps 3") == 2, done.stderr[-3000:]
