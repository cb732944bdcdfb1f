"""``lion tag``: the tagger's words for each picture, and the file of them that later work reads."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lion.cli.answering import answer_pictures, introduce
from lion.cli.options import Images, Options, shared_options
from lion.cli.output import Meter, check_new
from lion.errors import LionError
from lion.locks import FolderLock

if TYPE_CHECKING:
    from lion.pipeline import Answer, Request
    from lion.tagging import RamTagger, TagRow


@shared_options("tagger", "adapters", "tags", "no_tags", "empty_tags", "tags_from", "decoding")
def tag(
    images: Images,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the tags to a .parquet or .jsonl file, for --tags-from.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, metavar="SCORE", help="One threshold for all tags. (default: each tag's own)"),
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(min=1, metavar="K", help="The K best tags, whatever their scores.")
    ] = None,
    *,
    options: Options,
) -> None:
    """Name what is in each picture, with the tagger alone: that of a LION, or one that lion convert ram made.

    Scores lie in FILE.lion-scores until FILE is written: a run that was stopped goes on with the same command.
    """
    if threshold is not None and top_k is not None:
        raise LionError("--threshold and --top-k exclude each other; use one")
    rows: list[TagRow] = []
    out = out and out.expanduser()
    scores, alone = (None, None) if out is None else _place_of_scores(out)
    try:
        code = answer_pictures(
            images,
            "tag",
            options,
            load=lambda options: _load(options, threshold, top_k, rows, scores),
            writes=out is not None,
        )
        if out is not None and scores is not None:
            if rows:
                from lion.tagging import write_tags

                write_tags(out, rows)
            shutil.rmtree(scores, ignore_errors=True)
    except KeyboardInterrupt as stop:
        if out is None:
            raise
        raise KeyboardInterrupt(f"stopped after {len(rows)} pictures; the same command resumes there") from stop
    finally:
        if scores is not None and alone is not None:
            alone.release()
            with suppress(OSError):
                scores.rmdir()  # goes only where it is empty: a mistake leaves nothing behind
    raise typer.Exit(code)


def _place_of_scores(out: Path) -> tuple[Path, FolderLock]:
    """The folder that keeps the scores until ``out`` is written, made at once, so that a bad path is reported early.

    Raises: LionError, also where another process writes ``out``.
    """
    from lion.tagging.tag_file import check_format

    check_format(out)
    check_new("--out", out)
    folder = out.with_name(f"{out.name}.lion-scores")
    try:
        return folder, FolderLock(folder)
    except OSError as error:
        raise LionError(f"cannot write {out}: {error.strerror or error}; name another place") from error


@dataclass(frozen=True, slots=True)
class _Tagging:
    """A tagger in the pipeline's place, which keeps what it found."""

    tagger: RamTagger
    name: str
    rows: list[TagRow]

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        from lion.checkpoints.finding import about
        from lion.pipeline import Answer, Look
        from lion.tagging import TagRow

        looks = [request.image for request in requests if isinstance(request.image, Look)]
        found = self.tagger([look.image for look in looks])
        known = about(self.name, self.tagger.model.config.domain)
        answers = [
            Answer.of_tags(tags, look, self.name).with_about(known) for look, tags in zip(looks, found, strict=True)
        ]
        for look, answer in zip(looks, answers, strict=True):
            self.rows.append(TagRow(look.name or "", look.hash, answer.tags, self.name))
        return answers


def _load(
    options: Options, threshold: float | None, top_k: int | None, rows: list[TagRow], scores: Path | None
) -> _Tagging:
    """The tagger the options name, with the policy they ask for and what an earlier run of it has found."""
    from lion.checkpoints.finding import about
    from lion.checkpoints.loading import load_tagger
    from lion.tagging import TagCache, TagPolicy

    with Meter("loading the tagger"):
        tagger, name = load_tagger(options.model, options.device)
    if scores is not None:
        tagger.cache = TagCache(scores)
    if threshold is not None:
        tagger.policy = TagPolicy("global", threshold=threshold)
    if top_k is not None:
        tagger.policy = TagPolicy("top_k", k=top_k)
    introduce(about(name, tagger.model.config.domain))
    return _Tagging(tagger, name, rows)
