"""The hash of a recipe by which a run recognises its own checkpoints and record."""

import hashlib
import json
from typing import Any

from lion.checkpoints.record import read_record
from lion.data.index import file_hash
from lion.train.recipe.schema import RENAMED, Recipe

MAY_CHANGE = ("name", "root", "out", "checkpoint", "validation", "workers", "log_to")
"""Settings that may change when a run is resumed: the loss curve does not depend on them."""


def fingerprint(recipe: Recipe) -> str:
    """Hash of all that shapes the loss curve, 16 hexadecimal digits.

    Defaults are left out, so that a setting that a later version adds does not change it, and renamed settings go by
    their first names. The contents of your own files of samples and tags are part of it, and the fingerprints of the
    runs that `init` names; of a dataset in its original files or in archives only the place's name.
    """
    from lion.world import WORLD_VERSION

    facts = _first_names(recipe.model_dump(mode="json", exclude=set(MAY_CHANGE), exclude_defaults=True))
    facts["world"] = WORLD_VERSION
    facts["draws"] = 2  # how a step's batches are drawn; cd33468 named them after their stage
    paths = [path for source in recipe.data for _, path in sorted(source.paths().items())]
    if files := [file_hash(path) for path in paths if path.is_file()]:
        facts["files"] = files
    records = {part: read_record(folder) for part, folder in recipe.init_folders.items()}
    earlier_runs = {part: record and record.get("fingerprint") for part, record in records.items()}
    return hashlib.sha256(json.dumps([facts, earlier_runs], sort_keys=True).encode()).hexdigest()[:16]


def _first_names(facts: Any) -> Any:
    """`facts` with every renamed setting under its first name: runs of earlier versions keep their fingerprints."""
    if isinstance(facts, list):
        return [_first_names(entry) for entry in facts]
    if isinstance(facts, dict):
        first = {new: old for old, new in RENAMED.items()}
        return {first.get(key, key): _first_names(value) for key, value in facts.items()}
    return facts
