"""Our own faults: one line, exit code 1, the way to the details."""

import errno
import os

import pytest


@pytest.mark.parametrize("error", [RuntimeError("something broke\nbadly"), ValueError("a bug"), KeyError("key")])
def test_a_bug_is_one_line_that_names_debug(run, checkpoint, pictures, writes, error):
    def broken(self, prompts, vision, preset):
        raise error

    writes(broken)
    ran = run("caption", pictures[0], "-m", checkpoint)
    assert ran.code == 1 and ran.out == ""
    (line,) = ran.err.splitlines()
    assert line.startswith(f"lion: error: {type(error).__name__}: ") and "--debug" in line
    assert "Traceback" in run("caption", pictures[0], "-m", checkpoint, "--debug").err


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EDQUOT, "make room"),
        (errno.EFBIG, "raise the limit of a file's size (ulimit -f)"),
    ],
)
def test_a_full_disk_is_not_called_a_bug(run, checkpoint, pictures, writes, code, fix):
    def full(self, prompts, vision, preset):
        raise OSError(code, os.strerror(code))

    writes(full)
    ran = run("caption", pictures[0], "-m", checkpoint)
    line = f"lion: error: {os.strerror(code)}; {fix}, and give the same command again\n"
    assert (ran.code, ran.err) == (1, line)


def test_a_full_disk_where_pictures_are_saved_is_not_called_a_mistake(run, checkpoint, pictures, monkeypatch, tmp_path):
    def full(path, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr("lion.pipeline.drawing.atomic_write", full)
    ran = run("caption", pictures[0], "--save", tmp_path / "x.png", "-m", checkpoint)
    assert ran.code == 1 and "No space left on device" in ran.err and ran.out


def test_a_full_disk_is_not_called_a_mistake(run, checkpoint, pictures, monkeypatch, tmp_path):
    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("lion.world.writer.atomic_write_json", full)
    ran = run("world", tmp_path / "out", "--size", 1)
    assert ran.code == 1 and "No space left on device" in ran.err and "check the path" not in ran.err


def test_memory_that_runs_out_names_what_helps(run, checkpoint, pictures, writes):
    import torch

    def full(self, prompts, vision, preset):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate ...")

    writes(full)
    ran = run("caption", pictures[0], "-m", checkpoint)
    assert ran.code == 1 and "--batch-size" in ran.err and len(ran.err.splitlines()) == 1


def test_an_interrupt_is_130_and_one_line(run, checkpoint, pictures, writes):
    def interrupted(self, prompts, vision, preset):
        raise KeyboardInterrupt

    writes(interrupted)
    ran = run("caption", pictures[0], "-m", checkpoint)
    assert (ran.code, ran.out, ran.err) == (130, "", "lion: note: stopped\n")


def test_the_bare_command_is_a_question_for_help(run):
    ran = run()
    assert (ran.code, ran.err) == (0, "") and "caption" in ran.out
