"""The examples that train run as they stand, for a step or two, and what they leave answers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lion.cli import main

EXAMPLES = Path(__file__).parents[1] / "examples"
LONGEST = 60


def example(name, *arguments):
    """Run one and return what it printed."""
    command = [sys.executable, EXAMPLES / name, *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def drawings(tmp_path_factory):
    """Ten of the drawn pictures of examples/finetune_own."""
    folder = tmp_path_factory.mktemp("own")
    example("finetune_own/draw.py", folder, "--pictures", 10)
    rows = [json.loads(line) for line in (folder / "prints.jsonl").read_text().splitlines()]
    (folder / "questions.jsonl").write_text("\n".join(json.dumps(row) for row in rows if "question" in row))
    return folder


@pytest.mark.parametrize("name", ["trainer.py", "pytorch.py"])
def test_they_are_short(name):
    assert len((EXAMPLES / name).read_text("utf-8").splitlines()) < LONGEST


def test_plain_pytorch(drawings, tmp_path, capsys):
    assert "step 2: loss" in example("pytorch.py", drawings / "questions.jsonl", tmp_path / "shop", "--steps", 2)
    assert main(["ask", str(drawings / "000.png"), "is it red?", "--adapters", str(tmp_path / "shop"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "lion-mini:shop"


def test_transformers_trainer(drawings, tmp_path):
    example("trainer.py", drawings / "questions.jsonl", tmp_path / "shop", "--steps", 1)
    assert (tmp_path / "shop" / "model.safetensors").is_file()


def test_lion_finetune(drawings, tmp_path, capsys):
    out = tmp_path / "pencil"
    given = ["finetune", str(drawings / "prints.jsonl"), "--out", str(out), "--steps", "2", "batch_size=4", "--yes"]
    assert main([*given, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {"caption", "vqa", "rec"} <= {row["task"] for row in report["scores"]}
    assert main(["locate", str(drawings / "000.png"), "the bus", "--adapters", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "lion-mini:prints"
