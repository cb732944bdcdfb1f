"""What docs and examples show is run here, on the tiny model in lion-mini's place."""

import io
import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from lion.checkpoints.adapters import Adapters
from lion.model.modeling_lion import component_of
from lion.pipeline import Look
from lion.tagging import TagRow, write_tags
from tests.tagging.released import released_weights

ROOT = Path(__file__).parents[2]
SHELL = re.compile(r"^\$ lion (.*)$", re.MULTILINE)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def shown(kind, page):
    """The commands or blocks of a page."""
    return kind.findall((ROOT / "docs" / f"{page}.md").read_text())


PAGES = (
    "how-to/cli",
    "how-to/cli_boxes",
    "how-to/cli_models",
    "how-to/many_pictures",
    "how-to/tags",
    "how-to/training",
    "reference/datasets",
    "tutorials/answer",
)
COMMANDS = [command for page in PAGES for command in shown(SHELL, page)]
OF_PYTHON = ("", "_inputs", "_further", "_candidates", "_explain", "_drawing", "_steps")
BLOCKS = [block for page in OF_PYTHON for block in shown(PYTHON, f"how-to/python{page}")]
OF_TRANSFORMERS = shown(PYTHON, "how-to/transformers")


@pytest.fixture
def place(tmp_path, pictures, checkpoint, monkeypatch):
    """A folder as the docs assume it, with the tiny model at path/to/model and as the bundled one."""
    shutil.copy(ROOT / "examples" / "scene.png", tmp_path / "scene.png")
    shutil.copy(pictures[1], tmp_path / "photo.jpg")
    (tmp_path / "questions.txt").write_text("is there a kite?\nwhat color is it?\n")
    (tmp_path / "path" / "to").mkdir(parents=True)
    (tmp_path / "path" / "to" / "model").symlink_to(checkpoint)
    bundle = tmp_path / "package" / "bundled"
    bundle.mkdir(parents=True)
    (bundle / "lion-mini").symlink_to(checkpoint)
    (tmp_path / "ram").symlink_to(Path(checkpoint) / "tagger")
    released = {**released_weights(), "label_embed": torch.zeros(4585, 512)}
    torch.save({"model": released}, tmp_path / "ram_swin_large_14m.pth")
    look = Look.open(tmp_path / "scene.png")
    write_tags(tmp_path / "tags.parquet", [TagRow("scene.png", look.hash, ("boat", "sea"), "ram")])
    monkeypatch.setattr("lion.checkpoints.finding.files", lambda package: tmp_path / "package")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_docs_hold_something_to_run():
    assert len(COMMANDS) > 15 and len(BLOCKS) > 5 and len(OF_TRANSFORMERS) == 4


@pytest.mark.parametrize("command", COMMANDS)
def test_command_of_the_docs(run, says, place, monkeypatch, command):
    says("[0.10,0.20,0.50,0.80]")
    monkeypatch.setattr(
        "lion.pipeline.answering.PRESENCE_THRESHOLD", 0.0
    )  # random weights may say that nothing is there
    if command.startswith("world"):
        shutil.rmtree(place / "scenes", ignore_errors=True)
    if command.startswith("convert"):
        (place / "ram").unlink()
    words = shlex.split(command)
    if "--out" in words:
        (place / words[words.index("--out") + 1]).unlink(missing_ok=True)
    if "<" in words:
        monkeypatch.setattr("sys.stdin", io.StringIO((place / words[-1]).read_text()))
        words = words[: words.index("<")]
    ran = run(*words)
    assert ran.code == 0 and ran.out
    usual = (": left out as ", ": saved as ", "answered once")
    notes = [line for line in ran.err.splitlines() if not any(words in line for words in usual)]
    assert notes == []  # of the tiny model there is nothing to know
    assert "--out" not in words or (place / words[words.index("--out") + 1]).stat().st_size > 0
    if "--save" in words:
        saved = ("located.png", "boxes/*", "conversation.png", "why.png")
        assert any(list(place.glob(name)) for name in saved)


def test_python_of_the_docs(place, says, capsys):
    says("[0.10,0.20,0.50,0.80]")
    exec(compile("\n".join(BLOCKS), "docs/how-to/python.md", "exec"), {})
    assert (place / "annotated.png").exists()
    out = capsys.readouterr().out
    assert out.startswith("(512, 512) ('car', 'tree', 'sun')\n") and "('boat', 'sea')\n" in out


def test_python_of_the_first_tutorial(place, says, capsys):
    says("[0.10,0.20,0.50,0.80]")
    (block,) = shown(PYTHON, "tutorials/answer")
    exec(compile(block, "docs/tutorials/answer.md", "exec"), {})
    assert "the bird (51.2, 102.4, 256.0, 409.6)" in capsys.readouterr().out


def test_plans_of_the_tutorials_on_training(run, tmp_path, monkeypatch):
    """On lion-mini itself: nothing is trained."""
    monkeypatch.chdir(tmp_path)
    draw = ROOT / "examples" / "finetune_own" / "draw.py"
    subprocess.run([sys.executable, draw, "prints", "--pictures", "12"], check=True)  # it changes the world's inks
    for page, number in {"train_mini": 2, "own_pictures": 1}.items():
        commands = shown(SHELL, f"tutorials/{page}")
        assert len(commands) == number
        for command in commands:
            ran = run(*shlex.split(command))
            assert ran.code == 0 and "trains" in ran.out and "--dry-run" in command, command


def test_python_of_the_page_on_transformers(place, capsys):
    (place / "path/to/model").unlink()
    (place / "path/to/model").symlink_to(ROOT / "src/lion/bundled/lion-mini")
    exec(compile("\n".join(OF_TRANSFORMERS), "docs/how-to/transformers.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "['blue']" and [line.count("generated_text") for line in lines[1:5]] == [1, 2, 1, 1]
    assert "'generated_text': '[0." in lines[3] and "dtype" not in lines[5]  # a box; a loss in float32


@pytest.fixture
def questions(place):
    row = {"image": "scene.png", "question": "what color is the kite?", "answer": "blue"}
    (place / "mine.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")


def tuned(folder):
    """A model and processor that differ from lion-mini, and load."""
    model, start = (
        AutoModelForImageTextToText.from_pretrained(each) for each in (folder, ROOT / "src/lion/bundled/lion-mini")
    )
    AutoProcessor.from_pretrained(folder)
    now = dict(model.named_parameters())
    return {component_of(name) for name, old in start.named_parameters() if not torch.equal(now[name].to(old), old)}


def test_example_with_the_trainer(place, questions, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["trainer.py", "mine.jsonl", "out", "--steps", "2"])
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    runpy.run_path(str(ROOT / "examples" / "trainer.py"), run_name="__main__")
    assert "['blue']" in capsys.readouterr().out
    assert tuned(place / "out") and not tuned(place / "out") & {"vision_encoder", "language_model"}


@pytest.mark.parametrize("example", ["trainer", "pytorch", "peft_lora"])
def test_examples_name_the_lines_that_they_leave_out(place, questions, monkeypatch, capsys, example):
    if example == "peft_lora":
        pytest.importorskip("peft")
    asked = (place / "mine.jsonl").read_text(encoding="utf-8")
    others = json.dumps({"image": "scene.png", "caption": "a kite"}) + "\n"
    monkeypatch.setattr(sys, "argv", [f"{example}.py", "mine.jsonl", "out", "--steps", "1"])
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    (place / "mine.jsonl").write_text(asked + others + others, encoding="utf-8")
    runpy.run_path(str(ROOT / "examples" / f"{example}.py"), run_name="__main__")
    assert "left out: 2 of 3 lines" in capsys.readouterr().out
    assert Adapters.read(place / "out").components if example == "pytorch" else tuned(place / "out")
    (place / "mine.jsonl").write_text(others, encoding="utf-8")
    with pytest.raises(SystemExit):
        runpy.run_path(str(ROOT / "examples" / f"{example}.py"), run_name="__main__")
    assert "lion train reads captions" in capsys.readouterr().err


@pytest.mark.parametrize("example", ["trainer", "pytorch"])
def test_examples_are_short(example):
    assert len((ROOT / "examples" / f"{example}.py").read_text(encoding="utf-8").splitlines()) < 60


def test_example_in_plain_pytorch(place, questions, run, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pytorch.py", "mine.jsonl", "out", "--steps", "2"])
    runpy.run_path(str(ROOT / "examples" / "pytorch.py"), run_name="__main__")
    mini = ROOT / "src" / "lion" / "bundled" / "lion-mini"
    asked = run("ask", "scene.png", "is it red?", "--model", mini, "--adapters", "out", "--json")
    assert "step 2: loss" in asked.out and '"model": "' in asked.out and 'lion-mini:out"' in asked.out


def test_example_of_ones_own_pictures(place, run):
    draw = ROOT / "examples" / "finetune_own" / "draw.py"
    subprocess.run([sys.executable, draw, "prints", "--pictures", "10"], check=True)  # it changes the world's inks
    ran = run("finetune", "prints/prints.jsonl", "--out", "own", "--steps", "2", "batch_size=4", "-y", "--json")
    assert ran.code == 0, ran.err
    assert {"caption", "vqa", "rec"} <= {row["task"] for row in ran.rows[0]["scores"]}
    located = run("locate", "prints/000.png", "the bus", "--adapters", "own", "--json")
    assert located.rows[0]["model"] == "lion-mini:prints"


def test_example_with_peft(place, questions, monkeypatch, capsys):
    pytest.importorskip("peft")
    monkeypatch.setattr(sys, "argv", ["peft_lora.py", "mine.jsonl", "out", "--steps", "2"])
    runpy.run_path(str(ROOT / "examples" / "peft_lora.py"), run_name="__main__")
    assert "step 2: loss" in capsys.readouterr().out
    assert tuned(place / "out") == {"language_model"}


@pytest.mark.parametrize(
    ("name", "arguments", "leaves"),
    [
        ("ask", ["scene.png", "what is it?", "is it red?"], None),
        ("locate", ["scene.png", "the car", "the tree"], "boxes.png"),
        ("chat", ["scene.png", "is there a car?", "what color is it?"], None),
        ("batch_json", ["scene.png", "photo.jpg"], "answers.jsonl"),
        ("demo", [], "outputs/demo.png"),
        ("demo", ["photo.jpg"], "outputs/demo.png"),
    ],
)
def test_example(place, monkeypatch, capsys, name, arguments, leaves):
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
    runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    captured = capsys.readouterr()
    assert captured.out
    if leaves:
        assert (place / leaves).stat().st_size > 0
