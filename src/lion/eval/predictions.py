"""A model's predictions on disk, one line each, written batch by batch.

FOLDER/run.json                        of the run: model, benchmark, settings, hardware, commit
FOLDER/predictions/<set>.jsonl         predictions of a question set, by question id
FOLDER/predictions/<set>.rank1.jsonl   those of a second process, and so on

A killed run loses at most its current batch; a last line cut in half is dropped and generated again.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lion.atomic import atomic_write, atomic_write_json
from lion.errors import LionError
from lion.locks import LOCK, FolderLock

Prediction = dict[str, Any]
"""A line: ``id``, ``text`` (or ``scores``) and ``seconds``; the other keys are for readers of the file."""

SKIPPED = "skipped"
"""Key of the reason in place of an answer; the next call tries such a question again, in case it was repaired."""
FIXED = ("benchmark", "model_fingerprint", "settings", "decoding")
"""Keys of run.json that all predictions of a folder share; the number of questions may grow."""
FIRST_CALL = ("model", "commit", "date", "hardware", "versions")
"""Keys of run.json that stay those of the first call."""
_OF_DATASETS, _SETTINGS = (
    ("data", "skip_bad", "drawn"),
    ("data_hashes", "mode", "prompt", "wording", "decoding", "tags"),
)
"""Further keys of run.json, and of its settings, of all runs but the drawn world's."""


class Predictions:
    """The predictions in a run's folder; the process of each `rank` writes files of its own."""

    def __init__(self, folder: str | Path, rank: int = 0) -> None:
        self.folder, self._suffix = Path(os.path.expanduser(folder)), f".rank{rank}.jsonl" if rank else ".jsonl"

    def claim(self, run: Mapping[str, Any]) -> None:
        """Start a run in the folder, or resume the same one, and keep other writers out until `lock` is released.

        Raises: LionError if it holds another run, or other files, or another process writes there.
        """
        if self.folder.is_file():
            raise LionError(f"{self.folder} is a file; choose a folder with --out")
        self.lock = FolderLock(self.folder)
        path = self.folder / "run.json"
        if path.is_file():
            found = self.run()
            if differing := [key for key in FIXED if found.get(key) != run[key]]:
                raise LionError(f"{self.folder} holds {_difference(found, run, differing[0])}; choose another --out")
            kept = {key: found[key] for key in FIRST_CALL if key in found}
            run = {**run, **kept, "blind_run": found["blind_run"] or run["blind_run"]}
        elif self.folder.is_dir() and any(entry.name != LOCK for entry in self.folder.iterdir()):
            raise LionError(f"{self.folder} is not empty and holds no answers of ours; choose another --out")
        atomic_write_json(path, run)

    def run(self) -> dict[str, Any]:
        """The contents of run.json. Raises: LionError if there is none, or it is unreadable."""
        path = self.folder / "run.json"
        missing = f"{self.folder} holds no run.json; name the folder that lion eval wrote"
        found = _read_json(path, missing, "run it again with another --out")
        absent = [key for key in (*FIXED, *FIRST_CALL, "limit", "blind_run", "tagger") if key not in found]
        if not absent and "dataset" in found["settings"]:
            absent = [key for key in _OF_DATASETS if key not in found]
            absent += [key for key in _SETTINGS if key not in found["settings"]]
        if absent:
            raise LionError(f"{path} lacks {absent[0]!r}, as of another version; run it again with another --out")
        return found

    def record(self) -> dict[str, Any]:
        """The contents of run.json and scores.json. Raises: LionError for a missing or unreadable file."""
        missing = f"{self.folder} is not scored yet; go on with the same lion eval, or lion eval score"
        advice = f"run lion eval score {self.folder}"
        return {**self.run(), **_read_json(self.folder / "scores.json", missing, advice, "scores")}

    def read(self, name: str) -> dict[str, Prediction]:
        """The predictions of a question set by id, in the order they were written, of all processes.

        Equal answers to one question, from a run that was started twice, count once.

        Raises: LionError if a line before the last is damaged, or two lines answer one question differently.
        """
        own = self.folder / "predictions" / f"{name}.jsonl"
        found: dict[str, Prediction] = {}
        for path in (own, *sorted(own.parent.glob(f"{own.stem}.rank*.jsonl"))):
            for number, line in enumerate(_whole_lines(path) if path.is_file() else (), start=1):
                where = f"{path}, line {number}"
                try:
                    prediction = {} | json.loads(line)
                    key = _id_of(prediction)
                except (ValueError, KeyError, TypeError, RecursionError) as error:
                    raise LionError(f"{where} is damaged; delete the line, and it is asked again") from error
                if key not in found or SKIPPED in found[key]:
                    found[key] = prediction
                # A skipped one was repaired since, and answered by a process whose file comes first.
                elif SKIPPED not in prediction and _said(prediction) != _said(found[key]):
                    raise LionError(f"{where}: {key} is answered twice, and differently; delete one of the lines")
        return found

    def repair(self, name: str) -> None:
        """Drop a last line that a kill cut short, so that the next one starts on its own."""
        path = self._path(name)
        if path.is_file() and not path.read_bytes().endswith(b"\n"):
            atomic_write(path, "".join(_whole_lines(path)))

    def append(self, name: str, predictions: Sequence[Prediction]) -> None:
        """Write predictions of a question set; call `repair` once before."""
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:  # a lone surrogate as JSON writes it
            file.write("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in predictions))

    def _path(self, name: str) -> Path:
        return self.folder / "predictions" / f"{name}{self._suffix}"


def run_folders(folders: Sequence[Path]) -> list[Path]:
    """The folders of single runs: these, or those one level below them. Raises: LionError for a folder without any."""
    found: dict[Path, None] = {}
    for folder in folders:
        runs = sorted(folder.glob("run.json")) or sorted(folder.glob("*/run.json"))
        if not runs:
            raise LionError(f"{folder} holds no run.json; name the folder that lion eval wrote")
        found |= dict.fromkeys(path.parent for path in runs)
    return list(found)


def _read_json(path: Path, missing: str, advice: str, *objects: str) -> dict[str, Any]:
    """A JSON object in which `objects` are some, too. Raises: LionError with `missing` or `advice` for another file."""
    try:
        found = {} | json.loads(path.read_text("utf-8"))
        return found | {key: {} | found[key] for key in objects}
    except FileNotFoundError as error:
        raise LionError(missing) from error
    except (ValueError, TypeError, KeyError) as error:
        raise LionError(f"{path} is not readable JSON; {advice}") from error


def _id_of(prediction: Prediction) -> str:
    """The question's id. Raises: KeyError, TypeError or ValueError if this is no prediction."""
    if not isinstance(prediction["id"], str) or not prediction.keys() & {"text", "scores", SKIPPED}:
        raise ValueError("no answer")
    float(prediction["seconds"])
    return prediction["id"]


def _said(prediction: Prediction) -> Prediction:
    """A prediction without the time it took."""
    return {key: value for key, value in prediction.items() if key != "seconds"}


def _whole_lines(path: Path) -> list[str]:
    text = path.read_bytes().decode("utf-8", errors="replace")  # the cut may run through a character
    return [line + "\n" for line in text.split("\n")[:-1]]


def _difference(found: Mapping[str, Any], run: Mapping[str, Any], key: str) -> str:
    """In words, how the run in the folder differs from this one."""
    if key == "model_fingerprint":
        if found.get("model") == run["model"]:
            return f"answers of another {run['model']} (its weights have changed since)"
        return f"answers of another model ({found.get('model')}, not {run['model']})"
    there, here = found.get(key), run[key]
    if isinstance(there, dict) and isinstance(here, dict):
        key = next(inner for inner in {**there, **here} if there.get(inner) != here.get(inner))
        there, here = there.get(key), here.get(key)
    return f"answers with another {key.replace('_', ' ')} ({there}, not {here})"
