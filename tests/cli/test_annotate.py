"""``lion annotate`` as a command."""

import json
import os
import re
import shlex
import signal
import tarfile
import time
from pathlib import Path

import pyarrow.parquet as parquet
import pytest


def test_a_folder(run, pictures, tmp_path, checkpoint):
    ran = run(
        "annotate", pictures[0].parent, tmp_path / "out", "--do", 'caption,locate:"the dog"', "--model", checkpoint
    )
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"pictures: 3, answered in {tmp_path / 'out' / 'shards'}: 3, errors: 0\n"
    table = parquet.read_table(tmp_path / "out" / "shards").to_pylist()
    assert [row["key"] for row in table] == [str(path) for path in pictures]


def test_bad_pictures_are_counted_and_the_rest_is_done(run, pictures, tmp_path, checkpoint):
    pictures[1].write_bytes(b"text")
    words = (
        "annotate",
        pictures[0].parent,
        tmp_path / "out",
        "--do",
        "tags",
        "--format",
        "jsonl",
        "--model",
        checkpoint,
    )
    for _ in range(2):
        ran = run(*words)
        assert ran.code == 2 and ran.out.startswith("pictures: 3,") and ran.out.endswith(": 2, errors: 1\n")
        assert (
            ran.err
            == f"lion: error: pictures that cannot be used: 1; the reasons stand in {tmp_path / 'out' / 'errors'}\n"
        )
    (line,) = (tmp_path / "out" / "errors" / "000000.jsonl").read_text().splitlines()
    assert json.loads(line)["key"] == str(pictures[1])


def test_coco(run, pictures, tmp_path, checkpoint):
    words = ("--do", "describe:0,0,0.5,0.5", "--coco", tmp_path / "x.coco.json", "--model", checkpoint)
    assert run("annotate", pictures[0].parent, tmp_path / "out", *words).code == 0
    assert len(json.loads((tmp_path / "x.coco.json").read_text())["annotations"]) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--do", "colour"), "--do has no 'colour'; there are caption"),
        (("--do", "caption", "--format", "csv"), "there are parquet and jsonl"),
        (("--do", "caption", "--coco", "x.json"), "must end in .coco.json"),
        ((), "--do"),
    ],
)
def test_mistakes_leave_no_folder(run, pictures, tmp_path, checkpoint, words, message):
    ran = run("annotate", pictures[0].parent, tmp_path / "out", *words, "--model", checkpoint)
    assert ran.code == 2 and message in ran.err and not (tmp_path / "out").exists()


def test_an_interrupt_says_how_to_go_on(run, pictures, tmp_path, checkpoint, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("lion.annotate.annotator.Annotator.shard", stopped)
    ran = run("annotate", pictures[0].parent, tmp_path / "out", "--do", "caption", "--model", checkpoint)
    assert ran.code == 130 and "the same command goes on" in ran.err
    monkeypatch.undo()
    assert run("annotate", pictures[0].parent, tmp_path / "out", "--do", "tags", "--model", checkpoint).code == 2


DOCS = [Path(__file__).parents[2] / "docs" / kind / "annotate.md" for kind in ("how-to", "tutorials")]
COMMANDS = [command for page in DOCS for command in re.findall(r"^\$ lion (.*)$", page.read_text(), re.MULTILINE)]


@pytest.mark.parametrize("command", COMMANDS)
def test_command_of_the_docs(run, says, pictures, checkpoint, monkeypatch, tmp_path, command):
    says("[0.10,0.20,0.50,0.80]")
    monkeypatch.setattr(
        "lion.pipeline.answering.PRESENCE_THRESHOLD", 0.0
    )  # random weights may say that nothing is there
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text("pictures/a.png\npictures/b.jpg\n")
    (tmp_path / "shards").mkdir()
    for number in range(2):
        with tarfile.open(tmp_path / "shards" / f"{number:03}.tar", "w") as archive:
            archive.add(pictures[number], "x.png")
    ran = run(*shlex.split(command.replace("..127", "..001")), "--model", checkpoint)
    assert (ran.code, ran.err) == (0, "") and "errors: 0" in ran.out


def test_docs_hold_something_to_run():
    assert len(COMMANDS) == 5


def test_sigterm_is_an_interrupt(run, pictures, tmp_path, checkpoint, monkeypatch):
    def terminated(*_):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("lion.annotate.annotator.Annotator.shard", terminated)
    ran = run("annotate", pictures[0].parent, tmp_path / "out", "--do", "caption", "--model", checkpoint)
    assert ran.code == 130 and "stopped; 0 of 1 shards are kept (0 pictures)" in ran.err
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_ray_prints_is_not_the_result(run, pictures, tmp_path, monkeypatch):
    """A bug once: "(raylet) Task ... failed. There are infinite retries remaining" stood before the result."""

    def annotate(*_):
        print("(raylet) a task failed")
        return {"inputs": 3, "rows": 3, "errors": 0}

    monkeypatch.setattr("lion.annotate.on_ray.annotate", annotate)
    ran = run("annotate", pictures[0].parent, tmp_path / "out", "--do", "tags", "--ray", "local")
    assert (ran.code, ran.err) == (0, "(raylet) a task failed\n")
    assert ran.out == f"pictures: 3, answered in {tmp_path / 'out' / 'shards'}: 3, errors: 0\n"
