"""What a user gives, whatever its form: found out by its content, read by that form's reader, and said aloud."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lion.data.dataset import Dataset
from lion.data.sources import folders, jsonl, read
from lion.errors import LionError
from lion.hub import HUB_ID, fetch
from lion.prompts import Task

FORMS = (
    "LION's own JSONL or CSV, LLaVA JSON, COCO detection, messages (TRL, ms-swift), or a folder or Hub id of datasets"
)
FETCHED = ("*.parquet", "*.arrow", "*.json", "*.jsonl", "*.csv", "*.jpg", "*.jpeg", "*.png", "*.webp")
Read = Callable[[Path], Dataset]


@dataclass(frozen=True, slots=True)
class Found:
    """A dataset, and what it was taken for."""

    dataset: Dataset
    words: str
    """Its form and size, as a message has them: `LLaVA JSON, 812 turns`."""
    name: str
    """What a run on it is called."""


def read_any(given: str) -> Found:
    """Read a file or folder of any known form, or a dataset of the Hub, which alone uses the network. Bad records are
    left out and listed.

    Raises: LionError if it is none, or holds nothing of use.
    """
    path = Path(os.path.abspath(os.path.expanduser(given)))
    if not path.exists() and HUB_ID.fullmatch(given):
        path = fetch(given, FETCHED, kind="dataset")
        return _folder(path, given.rpartition("/")[2], f" of the Hub's {given}")
    if path.is_dir():
        return _folder(path, path.name, "")
    if not path.is_file():
        raise LionError(f"there is no file or folder {path}; give {FORMS}")
    words, name = _form(path)
    dataset = jsonl.read(path, skip_bad=True) if name is None else read(name, path.parent, path.stem, skip_bad=True)
    turns = sum(record.task in (Task.VQA, Task.DIALOG) for record in dataset.records)
    count = f"{turns:,} turns" if name in ("llava", "messages") and turns else f"{len(dataset.records):,} records"
    return Found(dataset, f"{words}, {count}", path.stem)


def _folder(path: Path, name: str, of: str) -> Found:
    if rows := folders.find(path):
        dataset = folders.read(rows, name)
        alone = {"columns": sorted(rows.unread), "files": rows.others}
        left = "".join(f"; {kind} left alone: {', '.join(names)}" for kind, names in alone.items() if names)
        return Found(dataset, f"{rows.kind}{of}, {len(dataset.records):,} records{left}", name)
    files = [file for file in sorted(path.iterdir()) if file.suffix.lower() in (".jsonl", ".csv", ".json")]
    if len(files) == 1:
        return read_any(str(files[0]))
    more = f"; it holds {len(files)} files that may be one: name it" if files else ""
    raise LionError(f"{path} holds no metadata.jsonl, parquet or arrow files{more}; give {FORMS}")


def _form(path: Path) -> tuple[str, str | None]:
    """The form of a file in words, and the dataset's name in `lion.data.sources`, None for LION's own."""
    if path.suffix.lower() == ".csv":
        return "LION's own CSV", None
    first = _first(path)
    if isinstance(first, dict):
        if "conversations" in first:
            return "LLaVA JSON", "llava"
        if "messages" in first:
            return ("ms-swift grounding" if first.get("objects") else "TRL messages"), "messages"
        if "images" in first and "annotations" in first:
            if "categories" in first:
                return "COCO detection (boxes x, y, width, height in pixels)", "coco-detection"
            raise LionError(f"{path} holds COCO captions; for lion train they are the dataset coco-caption")
        if first.keys() & jsonl.KEYS and path.suffix.lower() == ".jsonl":
            return "LION's own JSONL", None
    raise LionError(f"{path} is in no form that is known; give {FORMS}")


def _first(path: Path) -> Any:
    """The object of the first line, the first one of a list, or the whole object."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            if path.suffix.lower() == ".jsonl":
                return json.loads(next(line for line in file if line.strip()))
            whole = json.load(file)
    except StopIteration:
        raise LionError(f"{path} holds no samples; write one JSON object a line") from None
    except (ValueError, OSError) as error:
        raise LionError(f"{path} cannot be read as JSON ({error}); mend it, or get it again") from error
    return whole[0] if isinstance(whole, list) and whole else whole
