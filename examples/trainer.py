"""Fine-tune LION with transformers' own Trainer on a JSONL file of questions about pictures.

    {"image": "a.jpg", "question": "what is it?", "answer": "a dog"}

python examples/trainer.py mine.jsonl OUT [--model PATH|HUB_ID] [--steps 100]; `lion train` does more with such a file.
"""

import argparse
import json
from pathlib import Path

import torch
from PIL import Image, ImageOps
from transformers import AutoModelForImageTextToText, AutoProcessor, Seq2SeqTrainer, Seq2SeqTrainingArguments

import lion.model  # registers LION with the Auto classes

parser = argparse.ArgumentParser(description="Fine-tune LION with transformers' Trainer.")
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
model = AutoModelForImageTextToText.from_pretrained(options.model, dtype=torch.float32).freeze()  # as the paper


def collate(rows):
    """What the model reads, labels included; the task decides which adapters a row trains."""
    return processor(
        images=[ImageOps.exif_transpose(Image.open(options.questions.parent / row["image"])) for row in rows],
        text=[row["question"] for row in rows],
        tasks=[row.get("task", "vqa") for row in rows],
        answers=[row["answer"] for row in rows],
    )


arguments = Seq2SeqTrainingArguments(
    options.out,
    max_steps=options.steps,
    per_device_train_batch_size=8,
    learning_rate=1e-4,
    save_strategy="no",
    remove_unused_columns=False,  # rows become tensors in collate
    predict_with_generate=True,
    generation_max_length=20,
)
trainer = Seq2SeqTrainer(model, arguments, train_dataset=rows, data_collator=collate, processing_class=processor)
trainer.train()
answers = trainer.predict(rows[:8]).predictions
print(processor.batch_decode(answers.clip(min=0), skip_special_tokens=True))
trainer.save_model()  # model and processor: a folder for LionPipeline and for --model
