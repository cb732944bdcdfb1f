"""The command itself: its verbs, and what becomes of an error.

Exit codes: 0 answered; 1 our fault (a bug, or an answer that cannot be read); 2 the user's mistake; 130 interrupted.
A mistake is one line on stderr that says how to mend it; tracebacks are for ``--debug``.
"""

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lion.atomic import no_space_left, why_full
from lion.cli.annotate import annotate
from lion.cli.answering import ask, caption, describe, locate
from lion.cli.bench import bench
from lion.cli.chat import chat
from lion.cli.convert import conversion
from lion.cli.data import data
from lion.cli.doctor import doctor
from lion.cli.eval import evaluation
from lion.cli.explain import explain
from lion.cli.finetune import finetune
from lion.cli.gallery import gallery
from lion.cli.info import info
from lion.cli.output import leave, say
from lion.cli.serve import serve
from lion.cli.study import StudyCommand, study
from lion.cli.tag import tag
from lion.cli.train import TrainCommand, train
from lion.cli.world import world
from lion.errors import LionError


class Stopped(Exception):
    """An interrupt, which typer would turn into an exit code; the words, if there are any, say what is kept."""


class Verbs(TyperGroup):
    """The verbs, each of which may be interrupted."""

    def invoke(self, ctx: Any) -> Any:
        """Run one."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise Stopped(str(stop) or "stopped") from stop


app = typer.Typer(
    name="lion",
    cls=Verbs,
    help="LION looks at a picture and answers in words and boxes.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Options before, or instead of, a command."""
    if version:
        print(f"lion {metadata.version('lion-vlm')}")
        raise typer.Exit


EXAMPLES = {
    "caption": ("photo.jpg", "pictures/ --export captions.csv", "'pictures/**/*.jpg' --json > captions.jsonl"),
    "ask": ('photo.jpg "what color is the car?"', 'pictures/ "is there a dog?" --json'),
    "locate": (
        'photo.jpg "the dog on the left" --save located.png',
        'photo.jpg "the dog" --and "the cat" --if-there',
        'pictures/ "the dog" --export boxes.coco.json',
    ),
    "describe": ("photo.jpg --box 0.1,0.2,0.5,0.8", "photo.jpg --box 40,60,200,240 --pixels"),
    "tag": ("photo.jpg --top-k 5", "pictures/ --out tags.jsonl"),
    "chat": ("photo.jpg", "photo.jpg --save conversation.png < questions.txt"),
    "explain": ('photo.jpg "what color is the car?" --save why.png', 'photo.jpg "the car" --locate --save why.png'),
    "serve": ("", "path/to/model --host 0.0.0.0 --api-keys keys.txt"),
    "annotate": ("pictures/ out --do caption,tags", "'{000..127}.tar' out --do 'locate:\"the dog\"' --if-there"),
    "finetune": ("mine.jsonl", "mine.jsonl --model MODEL --out shop --dry-run", "coco/annotations.json steps=1000 -y"),
    "world": ("scenes --size 20", "data --as refcoco --size 50 --split test"),
    "data": ("index DIR", "pack DIR OUT --shard-size 256", "check DIR", "check DIR --as refcoco --split val"),
    "info": ("", "path/to/model --json"),
    "gallery": ("outputs/eval/world-test-lion-mini", "mine theirs --out beside.md --count 12"),
    "eval": ("world", "okvqa pope --data DIR --model MODEL", "mine.jsonl --model MODEL --against RUN"),
}
"""What stands behind ``lion VERB`` in the examples of its help."""


def epilog(name: str) -> str | None:
    """The examples of a verb's help, a line each."""
    lines = [f"lion {name} {rest}".rstrip() for rest in EXAMPLES.get(name, ())]
    return "\n\n".join(["Examples:", *lines]) if lines else None


for verb in (
    caption, ask, locate, describe, tag, chat, explain,
    finetune, serve, annotate, world, gallery, info, doctor, bench,
):  # fmt: skip
    app.command(epilog=epilog(verb.__name__))(verb)
app.command(cls=TrainCommand)(train)
app.command(cls=StudyCommand)(study)
app.add_typer(evaluation, name="eval", epilog=epilog("eval"))
app.add_typer(data, name="data", epilog=epilog("data"))
app.add_typer(conversion, name="convert")

USER, OURS, INTERRUPTED = 2, 1, 130


def from_home(word: str) -> str:
    """A word with ``~/`` at the start of its path as the home folder: shells leave it alone after ``--out=``."""
    option, equals, path = word.partition("=") if word.startswith("--") else ("", "", word)
    return f"{option}{equals}{os.path.expanduser(path)}" if path.startswith(f"~{os.sep}") else word


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; ``arguments`` are those of the process by default."""
    words = [from_home(word) for word in (sys.argv[1:] if arguments is None else arguments)] or ["--help"]
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed; what is for one must not end up in the other
            setattr(sys, name, open(os.devnull, "w", errors="backslashreplace"))  # noqa: SIM115 - for as long as the process lives
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if not words[0].startswith("-") and not words[0].isidentifier():
        say("error", f"'{words[0]}' is no verb, and one comes first: lion caption {words[0]}; see lion --help")
        return USER
    with suppress(ValueError):  # only the main thread may
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does, nothing lost
    try:
        code = app(args=words, prog_name="lion", standalone_mode=False)
        sys.stdout.flush()
        if code == INTERRUPTED:  # before typer has come to a verb
            raise Stopped
        return code if isinstance(code, int) else 0
    except (BrokenPipeError, SystemExit) as stop:
        # Nobody reads on, as behind `| head`: no mistake of anybody's. typer makes an exit of it.
        if isinstance(stop, BrokenPipeError) or isinstance(stop.__context__, BrokenPipeError):
            leave(sys.stdout)
            return 0
        return stop.code if isinstance(stop.code, int) else OURS
    except (KeyboardInterrupt, Stopped) as stop:
        say("note", str(stop) or "stopped")
        return INTERRUPTED
    except Exception as error:
        if "--debug" in words:
            traceback.print_exc()
        return report(error)


def report(error: Exception) -> int:
    """One line about an error on stderr, and the exit code it means."""
    if type(error).__name__ == "NoArgsIsHelpError":  # `lion eval` alone, whose help stands there by now
        return 0
    if isinstance(error, LionError) or type(error).__name__ == "LaunchError":  # of lion.distributed, which loads torch
        full = error.__cause__ is not None and no_space_left(error.__cause__)
        message, code = str(error), OURS if full else USER
    elif hasattr(error, "format_message"):  # wrong usage; the class is click's or typer's own copy of it, by version
        context = getattr(error, "ctx", None)
        command = context.command_path.rstrip() if context else "lion"
        message, code = f"{error.format_message().rstrip('.')}; see {command} --help", USER
    elif no_space_left(error):
        place = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        message, code = f"{place}{why_full(error)}, and give the same command again", OURS
    elif isinstance(error, OSError) and error.filename:
        message, code = f"{error.filename}: {error.strerror}; check the path", USER
    elif type(error).__name__ == "OutOfMemoryError":
        message, code = "out of memory; use a smaller --batch-size, or --device cpu", OURS
    else:
        message, code = f"{type(error).__name__}: {error}; this is a bug; run with --debug for details", OURS
    say("error", message)
    return code
