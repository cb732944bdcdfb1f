"""``lion info``: a checkpoint's components and their sizes."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from lion.checkpoints.finding import no_tagger
from lion.cli.options import Debug, Json, known_model
from lion.cli.output import Meter, quiet_libraries, say

if TYPE_CHECKING:
    from lion.checkpoints.info import ComponentInfo, ModelInfo


def info(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", callback=known_model, help="A checkpoint folder or Hub id. (default: lion-mini)"
        ),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show a checkpoint's components, parameters and memory, without loading its weights."""
    with Meter("loading libraries"):
        quiet_libraries(debug)
        from lion.checkpoints.info import model_info

        found = model_info(model)
    if found.tagger is None:
        say("note", no_tagger(found.model))
    if json:
        more = {"parameters": found.parameters, "trained": found.trained, "decoding": _presets()}
        print(json_module.dumps({**asdict(found), **more}))
    else:
        _print(found)


def _print(found: ModelInfo) -> None:
    share = f"{found.trained / found.parameters:.1%}"
    print(f"{found.model}: {found.parameters:,} parameters, {share} of them trained by its stages\n")
    row = "{:<18} {:>15} {:>7}  {:<8} {:>10}  {}"
    print(row.format("component", "parameters", "share", "trained", "memory", "stored as"))
    for part in found.components:
        print(_row(row, part, f"{part.parameters / found.parameters:.1%}"))
    if found.tagger:
        print(_row(row, found.tagger, "beside"))
    sizes = f"{_size(4 * found.parameters)} in float32, {_size(2 * found.parameters)} in bfloat16"
    print(f"\nmemory of the weights: {sizes}")
    for name, tasks in _presets().items():
        by_words = {words: [task for task in tasks if tasks[task] == words] for words in tasks.values()}
        for words, of in by_words.items():
            print(f"decoding {name}{'' if len(by_words) == 1 else ', ' + ' '.join(of)}: {words}")
    for key in ("name", "steps", "seconds", "hardware", "commit", "versions", "scores", "decoding"):
        if key in found.record:
            print(f"{_RECORD.get(key, key)}: {_plain(found.record[key])}")


_RECORD = {"name": "recipe", "scores": "scores on the run's own validation samples", "decoding": "their decoding"}
"""Labels of a record's keys."""


def _presets() -> dict[str, dict[str, str]]:
    """The decoding presets by name and task, in words."""
    from lion.pipeline import DECODING

    return {name: {task.value: str(preset) for task, preset in table.items()} for name, table in DECODING.items()}


def _row(row: str, part: ComponentInfo, share: str) -> str:
    trained = "yes" if part.trained else "frozen"
    return row.format(part.name, f"{part.parameters:,}", share, trained, _size(part.bytes), ", ".join(part.dtypes))


def _plain(value: object) -> str:
    """A value in words; a table as "key value, key value"."""
    return ", ".join(f"{key} {inner}" for key, inner in value.items()) if isinstance(value, dict) else str(value)


def _size(count: int) -> str:
    """Bytes in the unit that fits."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"
