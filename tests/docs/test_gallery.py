"""The gallery is what its command wrote: fifty pictures that are there, and not much to load."""

import re

import typer

from lion.cli.app import app
from tools.gallery_docs import HEAD, PAGE, PHOTOGRAPHS, SHOWN

TEXT = PAGE.read_text("utf-8")


def test_fifty_pictures_of_moderate_size():
    assert TEXT.startswith(HEAD) and TEXT.endswith(PHOTOGRAPHS), "python -m tools.gallery_docs"
    shown = re.findall(r"!\[\S+, \S+\]\((.*?)\)", TEXT)
    files = {str(path.relative_to(PAGE.parent)): path for path in PAGE.with_suffix("").iterdir()}
    assert len(shown) == SHOWN and set(shown) == files.keys()
    assert sum(path.stat().st_size for path in files.values()) < 2e6


def test_right_and_wrong_answers():
    verdicts = re.findall(r"^    \*\*.*?\*\* ([✓✗])", TEXT, re.MULTILINE)
    assert len(verdicts) == SHOWN and min(verdicts.count("✓"), verdicts.count("✗")) > 5


def test_what_it_says_about_photographs_can_be_asked_for():
    verbs = typer.main.get_command(app).commands
    commands = re.findall(r"^\$ lion (\w+) (.*)$", PHOTOGRAPHS, re.MULTILINE)
    assert {verb for verb, _ in commands} == {"convert", "locate", "eval", "gallery"} <= verbs.keys()
    for verb, words in commands:
        command = verbs[verb]
        if verb in ("convert", "eval"):
            command = command.commands["official" if verb == "convert" else "ask"]
        options = {name for parameter in command.params for name in parameter.opts}
        assert set(re.findall(r"--[\w-]+", words)) <= options, verb
