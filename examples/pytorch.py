"""Fine-tune LION in plain PyTorch on a JSONL file of questions about pictures, and keep what was trained as one file.

    {"image": "a.jpg", "question": "what is it?", "answer": "a dog"}

python examples/pytorch.py mine.jsonl OUT [--model PATH|HUB_ID] [--steps 100]; then
`lion ask a.jpg "what is it?" --adapters OUT`. `lion finetune` does more with such a file.
"""

import argparse
import json
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, RandomSampler
from transformers import AutoModelForImageTextToText, AutoProcessor

import lion.model  # registers LION with the Auto classes
from lion.checkpoints.adapters import save_adapters

parser = argparse.ArgumentParser(description="Fine-tune LION in plain PyTorch.")
parser.add_argument("questions", type=Path)
parser.add_argument("out", type=Path)
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
parts = ("image_adapter", "router", "tag_soft_prompt")  # leave this out to train all that the paper trains
model.freeze(parts).train()


def collate(rows):
    """What the model reads, labels included; the task decides which adapters a row trains."""
    return processor(
        images=[ImageOps.exif_transpose(Image.open(options.questions.parent / row["image"])) for row in rows],
        text=[row["question"] for row in rows],
        tasks="vqa",
        answers=[row["answer"] for row in rows],
    )


draws = RandomSampler(rows, replacement=True, num_samples=8 * options.steps)
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
for step, batch in enumerate(DataLoader(rows, batch_size=8, sampler=draws, collate_fn=collate), start=1):
    loss = model(**batch).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    print(f"step {step}: loss {loss.item():.3f}")
save_adapters(model, parts, options.out / "adapters.safetensors", str(options.model), {"name": options.out.name})
