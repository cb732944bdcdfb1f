"""Every command that the docs show exists, with every option it is given; those after a $ are also run, elsewhere."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from lion.cli.app import app
from lion.train.recipe import load_chain

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for kind in ("how-to", "tutorials", "reference", "explanation")
    for path in (ROOT / "docs" / kind).rglob("*.md")
)
COMMANDS = get_command(app)
BLOCKS = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:\$ )?(?:torchrun .*-m lion\.cli|lion) (.*)$", re.MULTILINE)


def shown(page):
    """The words of each command in a page's blocks, without `lion`, comments and redirections."""
    blocks = BLOCKS.findall(page.read_text("utf-8"))
    text = "".join(block for kind, block in blocks if kind in ("", "console", "bash")).replace("\\\n", " ")
    for line in COMMAND.findall(text):
        yield shlex.split(re.split(r"\s[<>|]\s", line)[0], comments=True)


def command_of(words):
    """The command that words call, and the words after its name."""
    command = COMMANDS
    while hasattr(command, "commands"):
        hidden = [one for one in command.commands.values() if one.hidden]  # `lion eval okvqa`: any name at all
        command, words = (command.commands[words[0]], words[1:]) if words[0] in command.commands else (hidden[0], words)
    return command, words


@pytest.mark.parametrize("page", [page for page in PAGES if any(shown(page))], ids=lambda page: page.stem)
def test_commands_and_options_exist(page):
    for words in shown(page):
        command, rest = command_of(words)
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        assert {word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)} <= known | {"--help"}, words


@pytest.mark.parametrize(
    "words",
    [words for page in PAGES for words in shown(page) if words[0] == "train" and "--plot" not in words],
    ids=" ".join,
)
def test_recipes_and_settings_exist(words):
    _, rest = command_of(words)
    recipes = [word for word in rest if re.fullmatch(r"[a-z][\w.-]*", word)][:1]
    if recipes and not recipes[0].endswith(".yaml"):
        load_chain(recipes[0], [word for word in rest if "=" in word and not word.startswith("--")])
