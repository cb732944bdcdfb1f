"""A model's answers on disk, one line each, written as they come.

FOLDER/run.json                         whose answers they are: model, benchmark, settings, hardware, commit
FOLDER/predictions/<part>.jsonl         the answers, keyed by the question's id
FOLDER/predictions/<part>.rank1.jsonl   those of a second process, and so on

A killed run loses at most the batch it was at; a last line cut in half is dropped and asked again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lion.atomic import atomic_write, atomic_write_json
from lion.errors import LionError

Row = dict[str, Any]
"""An answer: ``id``, ``text`` (or ``scores``) and ``seconds``, and what helps people who read the file."""

SKIPPED = "skipped"
"""Key of the reason in place of an answer; it is asked again the next time, in case it was mended."""
FIXED = ("benchmark", "model_fingerprint", "settings", "decoding")
"""What all answers of a folder have in common; the number of questions may grow."""
NOTED = ("model", "commit", "date", "hardware", "versions")
"""What run.json keeps of the call that began it."""


class Predictions:
    """The answers in one folder; those that come are written into the file of this process."""

    def __init__(self, folder: str | Path, rank: int = 0) -> None:
        self.folder, self._suffix = Path(folder), f".rank{rank}.jsonl" if rank else ".jsonl"

    def claim(self, run: Mapping[str, Any]) -> None:
        """Make the folder that of a run, or go on with the same run's; what the first call noted down stays.

        Raises:
            LionError: it holds another run's answers, or other files.
        """
        note = self.folder / "run.json"
        if note.is_file():
            found = self.run()
            differing = [key for key in FIXED if found.get(key) != run[key]]
            if differing:
                raise LionError(f"{self.folder} holds {_whose(found, run, differing[0])}; choose another --out")
            kept = {key: found[key] for key in NOTED if key in found}
            run = {**run, **kept, "blind_run": found["blind_run"] or run["blind_run"]}
        elif self.folder.is_file():
            raise LionError(f"{self.folder} is a file; choose a folder with --out")
        elif self.folder.is_dir() and any(self.folder.iterdir()):
            raise LionError(f"{self.folder} is not empty and holds no answers of ours; choose another --out")
        atomic_write_json(note, run)

    def run(self) -> dict[str, Any]:
        """What run.json says.

        Raises:
            LionError: there is none, or it is unreadable.
        """
        note = self.folder / "run.json"
        try:
            found = {} | json.loads(note.read_text("utf-8"))
        except FileNotFoundError as error:
            raise LionError(f"{self.folder} holds no run.json; name the folder that lion eval wrote") from error
        except (ValueError, TypeError) as error:
            raise LionError(f"{note} is not readable JSON; ask again into another folder") from error
        if missing := [key for key in (*FIXED, *NOTED, "limit", "blind_run") if key not in found]:
            raise LionError(f"{note} lacks {missing[0]!r}; ask again into another folder")
        return found

    def rows(self, part: str) -> dict[str, Row]:
        """The answers of a part by id, in the order they came, those of all processes; empty if there are none.

        Raises:
            LionError: a line in the middle is damaged, or two lines answer one question.
        """
        own = self.folder / "predictions" / f"{part}.jsonl"
        rows: dict[str, Row] = {}
        for path in (own, *sorted(own.parent.glob(f"{own.stem}.rank*.jsonl"))):
            for number, line in enumerate(_whole_lines(path) if path.is_file() else (), start=1):
                try:
                    row = {} | json.loads(line)
                    name = _name_of(row)
                except (ValueError, KeyError, TypeError, RecursionError) as error:
                    raise LionError(
                        f"{path}, line {number} is damaged; delete the line, and it is asked again"
                    ) from error
                answered = name in rows and SKIPPED not in rows[name]
                if answered and SKIPPED in row:
                    continue  # mended since, and asked again by another process, whose file comes first
                if answered:
                    raise LionError(f"{path}, line {number}: {name} is answered twice; delete one of the lines")
                rows[name] = row
        return rows

    def mend(self, part: str) -> None:
        """Drop a last line that a kill cut short, so that the next one starts on its own."""
        path = self._path(part)
        if path.is_file() and not path.read_bytes().endswith(b"\n"):
            atomic_write(path, "".join(_whole_lines(path)))

    def add(self, part: str, rows: Sequence[Row]) -> None:
        """Append answers; call `mend` once before."""
        path = self._path(part)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:  # a lone surrogate as JSON writes it
            file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    def _path(self, part: str) -> Path:
        return self.folder / "predictions" / f"{part}{self._suffix}"


def _name_of(row: Row) -> str:
    """The id of an answer. Raises: KeyError, TypeError or ValueError if it is none."""
    if not isinstance(row["id"], str) or not row.keys() & {"text", "scores", SKIPPED}:
        raise ValueError("no answer")
    float(row["seconds"])
    return row["id"]


def _whole_lines(path: Path) -> list[str]:
    text = path.read_bytes().decode("utf-8", errors="replace")  # the cut may run through a letter
    return [line + "\n" for line in text.split("\n")[:-1]]


def _whose(found: Mapping[str, Any], run: Mapping[str, Any], key: str) -> str:
    """In words, how the run that is there differs from the one that is wanted."""
    if key == "model_fingerprint":
        if found.get("model") == run["model"]:
            return f"answers of another {run['model']} (its weights have changed since)"
        return f"answers of another model ({found.get('model')}, not {run['model']})"
    there, here = found.get(key), run[key]
    if isinstance(there, dict) and isinstance(here, dict):
        key = next(inner for inner in {**there, **here} if there.get(inner) != here.get(inner))
        there, here = there.get(key), here.get(key)
    return f"answers with another {key.replace('_', ' ')} ({there}, not {here})"
