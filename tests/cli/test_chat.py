"""``lion chat``: piped and typed."""

import io
import sys

import pytest
from PIL import Image

from lion.cli import chat as chat_module
from lion.pipeline import DecodingPreset, LionPipeline
from lion.pipeline import request as request_module
from lion.prompts import Task
from tests.cli.conftest import Ran


@pytest.fixture
def stdin(monkeypatch):
    def stdin(text, terminal=False):
        stream = io.StringIO(text)
        stream.isatty = lambda: terminal
        monkeypatch.setattr("sys.stdin", stream)

    return stdin


@pytest.fixture
def rounds(monkeypatch):
    """Question and history of each request that became a prompt."""
    from lion.pipeline import answering

    asked, prepare = [], answering.prepare

    def recording(request, *rest):
        prompt = prepare(request, *rest)
        asked.append((request.text, list(request.history)))
        return prompt

    monkeypatch.setattr(answering, "prepare", recording)
    return asked


def test_piped_questions_are_answered_in_turn_and_remembered(run, says, stdin, rounds, checkpoint, pictures):
    says("a car")
    stdin("what is it?\n\nis it red?\n")
    ran = run("chat", pictures[0], "-m", checkpoint, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert [row["text"] for row in ran.rows] == ["a car", "a car"]
    assert {row["task"] for row in ran.rows} == {"chat"}
    assert rounds == [("what is it?", []), ("is it red?", [("what is it?", "a car")])]


def test_a_question_that_is_too_long_is_named_and_the_talk_goes_on(run, stdin, rounds, checkpoint, pictures):
    stdin("what is it?\n" + "word " * 10_000 + "\nis it red?\n")
    ran = run("chat", pictures[0], "-m", checkpoint, "--json")
    assert ran.code == 2
    assert [row["ok"] for row in ran.rows] == [True, False, True]
    (line,) = ran.err.splitlines()
    assert line.startswith("lion: error: ") and "limit is" in line
    assert rounds[-1] == ("is it red?", [("what is it?", ran.rows[0]["text"])])


def test_a_picture_that_cannot_be_read_is_a_line_and_a_row(run, stdin, checkpoint, pictures, tmp_path):
    stdin("what is it?\n")
    (tmp_path / "empty.png").write_bytes(b"")
    ran = run("chat", tmp_path / "empty.png", "-m", checkpoint, "--json")
    assert ran.code == 2 and len(ran.err.splitlines()) == 1 and str(tmp_path / "empty.png") in ran.err
    assert [(row["ok"], row["task"], row["text"]) for row in ran.rows] == [(False, "chat", "")]


def test_a_missing_file_of_tags_is_no_fault_of_the_picture(run, stdin, checkpoint, pictures, tmp_path):
    stdin("what is it?\n")
    ran = run("chat", pictures[0], "--tags-from", tmp_path / "gone.jsonl", "-m", checkpoint, "--json")
    assert (ran.code, ran.out) == (2, "") and str(pictures[0]) not in ran.err and "gone.jsonl" in ran.err


def test_no_standard_input_is_no_question(run, monkeypatch, checkpoint, pictures):
    monkeypatch.setattr("sys.stdin", None)
    assert run("chat", pictures[0], "-m", checkpoint) == Ran(0, "", "")


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_input_that_is_no_text_is_one_line(run, monkeypatch, checkpoint, pictures, errors):
    stream = io.TextIOWrapper(io.BytesIO(b"what is it?\ncaf\xe9?\n"), encoding="utf-8", errors=errors)
    monkeypatch.setattr("sys.stdin", stream)
    ran = run("chat", pictures[0], "-m", checkpoint)
    assert ran.code == 2 and len(ran.err.splitlines()) == 1 and "utf-8" in ran.err


def test_rounds_that_are_dropped_are_mentioned(run, says, stdin, checkpoint, pictures):
    says("a car")
    stdin("is it red or blue or green?\n" * 12)
    ran = run("chat", pictures[0], "-m", checkpoint, "--no-tags")
    assert ran.code == 0 and ran.out == "a car\n" * 12
    notes = ran.err.splitlines()
    assert notes and all(line.startswith("lion: note: dropped the ") for line in notes)


def test_typed_conversation_ends_with_an_empty_line(run, says, stdin, monkeypatch, checkpoint, pictures):
    says("a car")
    stdin("", terminal=True)
    typed = iter(["what is it?", "is it red?", "", "never read"])
    monkeypatch.setattr("builtins.input", lambda: next(typed))
    ran = run("chat", pictures[0], "-m", checkpoint, "--no-tags")
    assert (ran.code, ran.out) == (0, "a car\na car\n")
    assert ran.err == "you> " * 3 and next(typed) == "never read"


def test_a_typed_line_that_is_no_text_is_named_and_the_talk_goes_on(run, says, monkeypatch, checkpoint, pictures):
    says("a car")
    stream = io.TextIOWrapper(io.BytesIO(b"what is it?\ncaf\xe9?\nis it red?\n\n"), encoding="utf-8")
    stream.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", stream)
    monkeypatch.setattr("builtins.input", lambda: stream.readline())
    ran = run("chat", pictures[0], "-m", checkpoint, "--no-tags")
    assert (ran.code, ran.out) == (2, "a car\na car\n") and "not readable text" in ran.err


def test_typing_needs_no_readline(stdin, monkeypatch):
    stdin("", terminal=True)
    typed = iter(["what is it?", ""])
    monkeypatch.setattr("builtins.input", lambda: next(typed))
    monkeypatch.setitem(sys.modules, "readline", None)
    assert list(chat_module._questions()) == ["what is it?"]


def test_typed_conversation_ends_with_the_input(stdin, monkeypatch):
    stdin("", terminal=True)

    def ended():
        raise EOFError

    monkeypatch.setattr("builtins.input", ended)
    assert list(chat_module._questions()) == []


def test_save_holds_the_conversation(run, says, stdin, checkpoint, pictures, tmp_path):
    says("a car")
    stdin("what is it?\nis it red?\n")
    assert run("chat", pictures[0], "-m", checkpoint, "--save", tmp_path / "chat.png").code == 0
    saved, original = Image.open(tmp_path / "chat.png"), Image.open(pictures[0])
    assert saved.height > original.height


def test_greedy_words_appear_as_they_are_found(run, stdin, monkeypatch, checkpoint, pictures):
    """The same text as without, printed in pieces; and what cannot be answered is a line, as ever."""
    greedy = dict.fromkeys(Task, DecodingPreset(num_beams=1, max_new_tokens=12))
    monkeypatch.setitem(request_module.DECODING, "greedy", greedy)
    questions = "what is it?\n" + "word " * 10_000 + "\nis it red?\n"
    stdin(questions)
    rows = run("chat", pictures[0], "-m", checkpoint, "--decoding", "greedy", "--json").rows
    stdin(questions)
    pieces, stream = [], LionPipeline.stream

    def counted(self, request):
        found = stream(self, request)
        while True:
            try:
                pieces.append(next(found))
            except StopIteration as end:
                return end.value
            yield pieces[-1]

    monkeypatch.setattr(LionPipeline, "stream", counted)
    ran = run("chat", pictures[0], "-m", checkpoint, "--decoding", "greedy", "--no-tags")
    assert ran.code == 2 and len(ran.err.splitlines()) == 1 and "limit is" in ran.err
    assert len(ran.out.splitlines()) == 2 and len(rows) == 3 and "".join(pieces) == ran.out.replace("\n", "")
    assert len(pieces) > 2
