"""``lion tag``: the tagger's words for each picture, and the file of them that later work reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lion.cli.answering import answer_pictures, introduce
from lion.cli.options import BatchSize, Debug, Device, Images, Json, Model, Options, Save
from lion.cli.output import waiting
from lion.errors import LionError

if TYPE_CHECKING:
    from lion.pipeline import Answer, Request
    from lion.tagging import RamTagger, TagRow


def tag(
    images: Images,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the tags to a .parquet or .jsonl file, for --tags-from.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(metavar="SCORE", help="One threshold for all tags. (default: each tag's own)")
    ] = None,
    top_k: Annotated[int | None, typer.Option(metavar="K", help="The K best tags, whatever their scores.")] = None,
    model: Model = None,
    json: Json = False,
    save: Save = None,
    device: Device = None,
    batch_size: BatchSize = 8,
    debug: Debug = False,
) -> None:
    """Name what is in each picture, with the tagger alone: that of a LION, or one that lion convert ram made."""
    options = Options(model, json, save, None, device, batch_size, debug)
    if threshold is not None and top_k is not None:
        raise LionError("--threshold and --top-k exclude each other; use one")
    if out is not None:
        from lion.tagging.tag_file import check_format

        check_format(out)
    rows: list[TagRow] = []
    code = answer_pictures(images, "tag", options, load=lambda options: _load(options, threshold, top_k, rows))
    if out is not None and rows:
        from lion.tagging import write_tags

        write_tags(out, rows)
    raise typer.Exit(code)


@dataclass(frozen=True, slots=True)
class _Tagging:
    """A tagger in the pipeline's place, which keeps what it found."""

    tagger: RamTagger
    name: str
    rows: list[TagRow]

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        from lion.pipeline import Answer, Look
        from lion.tagging import TagRow

        looks = [request.image for request in requests if isinstance(request.image, Look)]
        found = self.tagger([look.image for look in looks])
        answers = [Answer.of_tags(tags, self.name, look.name) for look, tags in zip(looks, found, strict=True)]
        for look, answer in zip(looks, answers, strict=True):
            self.rows.append(TagRow(look.name or "", look.hash, answer.tags, self.name))
        return answers


def _load(options: Options, threshold: float | None, top_k: int | None, rows: list[TagRow]) -> _Tagging:
    """The tagger the options name, with the policy they ask for."""
    from lion.pipeline.loading import load_tagger
    from lion.tagging import TagPolicy

    with waiting("loading the tagger"):
        tagger, name = load_tagger(options.model, options.device)
    if threshold is not None:
        tagger.policy = TagPolicy("global", threshold=threshold)
    if top_k is not None:
        tagger.policy = TagPolicy("top_k", k=top_k)
    introduce(name)
    return _Tagging(tagger, name, rows)
