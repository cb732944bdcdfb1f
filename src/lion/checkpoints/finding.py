"""From a model's name to its folder (a path, a Hub id or the bundled lion-mini), and the kind of model it holds.

Only a Hub id (``owner/name``) uses the network. Finding a folder imports neither torch nor transformers.
"""

import json
import os
from importlib.resources import files
from pathlib import Path

from lion.errors import LionError
from lion.hub import HUB_ID, fetch

BUNDLED = "lion-mini"
"""Name of the model inside the package: the default, and what ``--model lion-mini`` means."""

FETCHED = ("*.json", "*.safetensors", "*.model", "*.txt", "README.md")
"""File patterns downloaded from a Hub repository."""


def about(name: str, domain: str | None) -> str | None:
    """What whoever asks a model about a picture should know; None if nothing.

    Args:
        name: the model's. No other than lion-mini's is repeated, as it may be a path.
        domain: as :attr:`lion.model.LionConfig.domain`.
    """
    who = BUNDLED if name == BUNDLED else f"this model comes from {BUNDLED}, which"
    return domain and f"{who} knows {domain} only (lion world); for photographs name another model"


def no_tagger(name: str) -> str:
    """What whoever loads a model without a tagger should know."""
    return (
        f"'{name}' has no tagger, so its prompts list no tags; give it that of the model it came from: --tagger MODEL "
        f"(in Python tagger='MODEL'), or copy that model's folder tagger into it"
    )


def bundled_folder() -> Path:
    """The folder of the model inside the package; it exists unless the installation left it out."""
    return Path(str(files("lion"))) / "bundled" / BUNDLED


def find_checkpoint(model: str | Path | None) -> tuple[Path, str]:
    """The folder of a LION model, downloaded from the Hub if necessary, and its name in messages.

    ``model`` is a folder, a Hub id or ``lion-mini``; None is the bundled model.

    Raises: LionError if there is no such model, or it is not a LION checkpoint.
    """
    folder, name = find_folder(model)
    check_is_lion(folder, name)
    return folder, name


def find_folder(model: str | Path | None) -> tuple[Path, str]:
    """As `find_checkpoint`, for a model of any kind."""
    name = BUNDLED if model is None else str(model)
    path = Path(os.path.expanduser(name))
    bundled = bundled_folder()
    if model is None or os.path.abspath(path) == str(bundled) or (name == BUNDLED and not path.is_dir()):
        folder, name = bundled, BUNDLED
        if not (folder / "config.json").is_file():
            raise LionError(f"this installation holds no {BUNDLED}; name a model: --model, or from_pretrained(path)")
    elif path.is_dir():
        folder, name = path, os.path.join(os.curdir, name) if name == BUNDLED else name  # that name is the package's
    elif is_hub_id(name):
        folder = fetch(name, FETCHED)
    else:
        raise LionError(f"no model folder '{name}'; give a folder with a config.json, or a Hub id like owner/name")
    return folder, name


def is_hub_id(name: str) -> bool:
    """Whether a model of this name is looked up on the Hub: it has the form of an id and is no local path."""
    return bool(HUB_ID.fullmatch(name)) and not os.path.exists(os.path.expanduser(name))


def model_type(folder: Path, name: str) -> str | None:
    """``model_type`` of the folder's config.json; None where it has none.

    Raises: LionError if there is no config.json, or it is not readable.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise LionError(f"'{name}' holds no config.json; give the folder that save_pretrained or lion train wrote")
    try:
        return json.loads(path.read_text()).get("model_type")
    except (ValueError, AttributeError) as error:
        raise LionError(f"{path} is not readable JSON; copy or save the checkpoint again") from error


def is_tagger(folder: Path, name: str) -> bool:
    """Whether the folder's model is a RAM tagger alone. Raises: as `model_type`."""
    return model_type(folder, name) == "lion_ram"  # RamConfig.model_type, whose module loads transformers


def check_is_lion(folder: Path, name: str) -> None:
    """Raise LionError unless the folder's model is a LION."""
    if is_tagger(folder, name):
        raise LionError(f"'{name}' is a tagger alone, for lion tag; name a LION checkpoint")
    if (found := model_type(folder, name)) != "lion":
        raise LionError(f"'{name}' is a {found or 'nameless'} model, not LION; name a LION checkpoint")


ADAPTERS = "adapters.safetensors"
"""What a fine-tuning run leaves; see lion.checkpoints.adapters."""


def find_adapters(given: str | Path) -> tuple[str | None, Path]:
    """The name and the file that ``name=FILE``, a file or the folder of a run means; the name None where none is given.

    Raises: LionError if there is no such file.
    """
    name, equals, rest = str(given).partition("=")
    if not equals or os.sep in name or os.path.exists(os.path.expanduser(given)):
        name, rest = "", str(given)
    path = Path(os.path.expanduser(rest))
    path = path / ADAPTERS if path.is_dir() else path
    if not path.is_file():
        raise LionError(f"there is no file {path}; give the {ADAPTERS} that lion finetune left")
    return name or None, path
