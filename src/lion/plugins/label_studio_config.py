"""What a labelling configuration of Label Studio asks, and where the pictures of its tasks are; needs no server."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

from lion.errors import LionError
from lion.pipeline import Verb

UPLOADS, LOCAL_FILES = "LABEL_STUDIO_BASE_DATA_DIR", "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT"
"""Label Studio's own variables of its folders; a server for which they are set reads pictures there."""

_HINT = (
    'give it a RectangleLabels, a TextArea, or a Choices with a question="...", for an Image with value="$..." (those '
    'with perRegion="true" are left to people)'
)


@dataclass(frozen=True, slots=True)
class Control:
    """A tag of the configuration that LION fills."""

    kind: str
    """``rectanglelabels``, ``choices`` or ``textarea``."""
    name: str
    to_name: str
    variable: str
    """Key of the picture in a task's data."""
    questions: Mapping[str, dict[str, Any]]
    """Fields of the :class:`~lion.pipeline.Request` for each label; of a tag without labels under its name."""
    choices: Mapping[str, str] = field(default_factory=dict)
    """What stands for each candidate in a result."""
    threshold: float = 0.0
    """The least score of a box."""


def read_config(text: str) -> list[Control]:
    """The tags that LION fills.

    Raises: LionError if the text is no XML, or holds no such tag.
    """
    if "<!DOCTYPE" in text:  # entities, which nobody needs here, can grow without bounds
        raise LionError("a labelling configuration holds no DOCTYPE: leave it out")
    try:
        tags = list(ElementTree.fromstring(text).iter())
    except (ElementTree.ParseError, ValueError) as error:
        raise LionError(f"the labelling configuration is not readable XML: {error}") from error
    images = {
        tag.get("name"): value[1:] for tag in tags if tag.tag == "Image" and (value := tag.get("value", ""))[:1] == "$"
    }
    found = [
        control
        for tag in tags
        if tag.get("toName") in images and tag.get("name") and tag.get("perRegion") != "true"
        if (control := _control(tag, images[tag.get("toName")]))
    ]
    if not found:
        raise LionError(f"the labelling configuration has nothing that LION fills: {_HINT}")
    return found


def _control(tag: ElementTree.Element, variable: str) -> Control | None:
    own = tag.attrib
    name, question, choices = own["name"], own.get("question"), dict[str, str]()
    threshold = _threshold(own)
    fields: dict[str, Any] = {"verb": Verb.ASK, "text": question} if question else {"verb": Verb.CAPTION}
    questions = {name: fields}
    if tag.tag == "RectangleLabels":
        labels = [label.attrib for label in tag.iter("Label") if label.get("value")]
        phrases = {_stored(label): label.get("predicted_values") or label["value"] for label in labels}
        questions = {label: {"verb": Verb.LOCATE, "text": text, "if_there": True} for label, text in phrases.items()}
    elif tag.tag == "Choices" and question:
        choices = {
            choice.attrib["value"]: _stored(choice.attrib) for choice in tag.iter("Choice") if choice.get("value")
        }
        questions = {name: {**fields, "candidates": list(choices)}} if choices else {}
    elif tag.tag != "TextArea":
        return None
    kind = str(tag.tag).lower()
    return Control(kind, name, own["toName"], variable, questions, choices, threshold) if questions else None


def _stored(tag: Mapping[str, str]) -> str:
    """What annotations hold of a Label or Choice."""
    return tag.get("alias") or tag["value"]


def _threshold(tag: Mapping[str, str]) -> float:
    given = tag.get("model_score_threshold", "0")
    try:
        if 0 <= float(given) <= 1:
            return float(given)
    except ValueError:
        pass
    raise LionError(f"model_score_threshold of {tag['name']} is a number from 0 to 1, not '{given}'")


def picture_source(data: Mapping[str, Any], variable: str, most_mb: int) -> str | bytes:
    """A task's picture: its data: or http(s) URL, or the bytes of a file in a folder of Label Studio's.

    Raises: LionError if the task has none, or a file that this server may not read.
    """
    url = data.get(variable)
    if not isinstance(url, str) or not url:
        raise LionError(f"the task's data has no picture as '{variable}'; name it in the Image tag's value")
    if not url.startswith("/"):
        return url
    parts = urlsplit(url)
    match parts.path.split("/"):
        case ["", "data", "upload", *_]:
            known, root, inside = UPLOADS, "media", unquote(parts.path.removeprefix("/data/"))
        case ["", "data", "local-files", ""] if query := parse_qs(parts.query).get("d"):
            known, root, inside = LOCAL_FILES, "", query[0]
        case _:
            raise LionError("a task's picture is a data: or http(s) URL, or a file that was uploaded to Label Studio")
    if not os.environ.get(known):
        raise LionError(f"this server reads no files of Label Studio: start it with {known} set to the same folder")
    folder = (Path(os.environ[known]) / root).resolve()
    try:
        path = (folder / inside).resolve()
        if path.is_relative_to(folder) and path.is_file() and path.stat().st_size <= most_mb * 2**20:
            return path.read_bytes()
    except (OSError, ValueError):
        pass
    raise LionError(f"the task's picture is not in the folder of {known}, or larger than {most_mb} MB")
