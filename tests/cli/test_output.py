"""Bars and lines: seen on a terminal when the work lasts, and nowhere else."""

import io
import os
import re
import sys
import time

import pytest

from lion.cli.output import Meter, say


@pytest.fixture
def stderr(monkeypatch):
    def stderr(terminal):
        stream = io.StringIO()
        stream.isatty = lambda: terminal
        monkeypatch.setattr("sys.stderr", stream)
        monkeypatch.setattr("lion.cli.output.PROGRESS_AFTER", 0.05)
        monkeypatch.setenv("TERM", "xterm")
        for switch in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "FORCE_COLOR"):
            monkeypatch.delenv(switch, raising=False)
        return stream

    return stderr


def work(seconds):
    with Meter("answering", 4) as meter:
        for _ in range(4):
            time.sleep(seconds / 4)
            with meter.aside():
                print("a line")
            meter.advance()


@pytest.mark.parametrize(("terminal", "seconds", "seen"), [(True, 0.4, True), (True, 0, False), (False, 0.4, False)])
def test_a_bar_appears_on_a_terminal_when_the_work_lasts(stderr, capsys, terminal, seconds, seen):
    stream = stderr(terminal)
    work(seconds)
    assert ("answering" in stream.getvalue()) == seen
    assert terminal or stream.getvalue() == ""
    assert capsys.readouterr().out == "a line\n" * 4


def test_runs_side_by_side_have_a_bar_each_with_loss_and_speed(stderr, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    stream = stderr(True)
    row = {"loss": 1.25, "samples_per_second": 40.0}
    with Meter() as meter:
        meter.watch("stage1", 100, 1500)
        meter.watch("drawing pictures", 512, 1024)
        meter.watch("stage1", 105, 1500, row)
        meter.watch("drawing pictures", 1024, 1024)
        meter.watch("stage2", 5, 1500, {**row, "loss": 7.5})
        meter.watch("annotating", 1, 9, {"samples_per_second": 0.31, "unit": "pictures"})
        time.sleep(0.3)
    shown = stream.getvalue()
    assert all(
        text in shown for text in ("stage1  loss 1.250  40 samples/s", " 105/1500", "stage2  loss 7.500", "   5/1500")
    )
    assert "annotating  0.31 pictures/s" in shown
    assert "drawing" not in shown, "what is done goes"
    silent = stderr(True)
    monkeypatch.setenv("RANK", "1")  # another process of torchrun has the bar
    with Meter() as meter:
        meter.watch("stage1", 5, 10, row)
        time.sleep(0.2)
    assert silent.getvalue() == ""


@pytest.mark.parametrize(("rank", "lines"), [("0", 2), ("1", 0)])
def test_where_there_is_no_terminal_a_run_says_now_and_then_how_far_it_is(stderr, monkeypatch, rank, lines):
    monkeypatch.setenv("RANK", rank)
    now = [0.0]
    monkeypatch.setattr("lion.cli.output.time.monotonic", lambda: now[0])
    stream = stderr(False)
    with Meter() as meter:
        for step, now[0] in enumerate((1, 29, 31, 32, 60, 62), start=1):
            meter.watch("stage1", step, 6, {"loss": 1.25, "samples_per_second": 40.0})
    said = [f"lion: note: stage1  loss 1.250  40 samples/s, {words}" for words in ("3 of 6, 0:00:06 left", "6 of 6")]
    assert stream.getvalue().splitlines() == said[:lines]


def test_a_line_says_how_long_it_will_last(stderr, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    stream = stderr(False)
    with Meter("drawing", 1000) as meter:
        for _ in range(20):
            now[0] += 2
            meter.advance(10)
    with Meter("drawing", None) as meter:
        for _ in range(20):
            now[0] += 2
            meter.advance(10)
    first, endless = stream.getvalue().splitlines()
    assert re.fullmatch(r"lion: note: drawing, 150 of 1000, 0:02:[0-9]{2} left", first)
    assert endless == "lion: note: drawing, 150"


def test_an_error_takes_the_bar_down(stderr):
    stream = stderr(True)
    with pytest.raises(KeyError), Meter("answering", 4):
        time.sleep(0.2)
        raise KeyError
    before = stream.getvalue()
    time.sleep(0.2)
    assert "answering" in before and stream.getvalue() == before


@pytest.mark.parametrize("terminal", [True, False])
def test_work_of_unknown_length_has_a_bar_without_counts(stderr, terminal):
    stream = stderr(terminal)
    with Meter("loading the model"):
        time.sleep(0.2)
    assert ("loading the model" in stream.getvalue()) == terminal
    assert "/" not in stream.getvalue().replace("\x1b", "")


def test_a_message_is_one_line(stderr):
    stream = stderr(False)
    say("error", " two\n  lines  of\ttext\n\n")
    assert stream.getvalue() == "lion: error: two lines  of\\ttext\n"
    assert sys.stderr is stream


def test_a_note_that_nobody_reads_stops_no_work(monkeypatch):
    """As behind `2>&1 | head`."""
    ours, theirs = os.pipe()
    os.close(ours)
    with open(theirs, "w", buffering=1) as stream:
        monkeypatch.setattr("sys.stderr", stream)
        for _ in range(3):
            say("note", "a line")
