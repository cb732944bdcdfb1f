"""Fine-tune LION's language model with LoRA (PEFT) on a JSONL file of questions about pictures.

    {"image": "a.jpg", "question": "what is it?", "answer": "a dog"}

python examples/peft_lora.py mine.jsonl OUT [--model PATH|HUB_ID] [--steps 100]; needs `pip install peft`.
"""

import argparse
import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from PIL import Image, ImageOps
from transformers import AutoModelForImageTextToText, AutoProcessor

import lion.model  # registers LION with the Auto classes

parser = argparse.ArgumentParser(description="Fine-tune LION with LoRA.")
parser.add_argument("questions", type=Path)
parser.add_argument("out")
parser.add_argument("--model", default=Path(lion.__file__).parent / "bundled" / "lion-mini")
parser.add_argument("--steps", type=int, default=100)
options = parser.parse_args()

lines = [json.loads(line) for line in options.questions.read_text(encoding="utf-8").splitlines() if line.strip()]
rows = [line for line in lines if {"image", "question", "answer"} <= line.keys()]
if len(rows) < len(lines):
    print(f"left out: {len(lines) - len(rows)} of {len(lines)} lines, without image, question or answer")
if not rows:
    parser.error("there is no line to train on; lion train reads captions and boxes, too")
processor = AutoProcessor.from_pretrained(options.model)
model = AutoModelForImageTextToText.from_pretrained(options.model, dtype=torch.float32)

# Low-rank updates of the queries and values in every attention of FLAN-T5; all else stays as it is.
lora = LoraConfig(task_type="SEQ_2_SEQ_LM", r=8, lora_alpha=16, target_modules=r"language_model\..*\.(q|v)")
model = get_peft_model(model, lora).train()
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
for step in range(options.steps):
    batch = [rows[(step * 8 + number) % len(rows)] for number in range(8)]
    loss = model(
        **processor(
            images=[ImageOps.exif_transpose(Image.open(options.questions.parent / row["image"])) for row in batch],
            text=[row["question"] for row in batch],
            tasks="vqa",
            answers=[row["answer"] for row in batch],
        )
    ).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    print(f"step {step + 1}: loss {loss.item():.3f}")
model.merge_and_unload().save_pretrained(options.out)  # a LION again, for LionPipeline and for --model
processor.save_pretrained(options.out)
