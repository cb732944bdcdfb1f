"""A bulk run on one machine, and what it shares with one on Ray: the plan, the settings, the count at the end."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from lion.annotate.annotator import Annotator
from lion.annotate.asks import Ask, check
from lion.annotate.inputs import cut, digest, find
from lion.annotate.output import Counts, Output
from lion.annotate.reader import Reader
from lion.annotate.records import records
from lion.data.archives import archive, parquet, picture_column
from lion.data.files import open_file
from lion.errors import LionError
from lion.pipeline import LionPipeline
from lion.pipeline.fingerprint import model_fingerprint
from lion.pipeline.request import Tags
from lion.provenance import commit, versions

OnProgress = Callable[[int, int], None]
"""Called with the inputs that are done, and how many there are; an estimate until every archive has been read."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is wanted of the pictures, apart from the model."""

    asks: tuple[Ask, ...]
    tags: Tags = None
    """Of the prompts, as :attr:`Request.tags`."""
    if_there: bool = False
    form: str = "parquet"
    shard_size: int | None = None
    """Pictures in a shard; None for those of the run in the folder, and in a new one for :func:`shard_size`."""
    column: str | None = None
    workers: int = 4
    """Threads that read and decode, for each pipeline."""


def shard_size(pictures: int) -> int:
    """So many pictures in a shard that a run which is stopped loses a twentieth of it at most, and no more than 1,000;
    though not so few that there is no batch."""
    return min(1000, max(8, -(-pictures // 20)))


class Plan:
    """The shards of an input and the folder they go to.

    Args:
        given: the input, as :func:`lion.annotate.inputs.find` takes it.
        out: the run's folder.
        job: what is wanted.

    Raises: LionError for an input or a folder that will not do.
    """

    def __init__(self, given: str, out: Path, job: Job) -> None:
        out = out.expanduser().resolve()
        if out.is_relative_to(Path(given).expanduser().resolve()):
            raise LionError(f"{out} lies in the input; name a folder outside of it")
        sources, self.note = find(given)
        self.given, self.job, self.output = given, job, Output(out, job.form)
        pictures = sum(archive(source) is None for source in sources)
        self.shard_size = job.shard_size or self.output.shard_size() or shard_size(pictures)
        self.shards = cut(sources, self.shard_size)
        self._check_column()

    def begin(self, identity: Mapping[str, Any], retry_errors: bool = False) -> dict[int, Counts]:
        """Write the manifest, or find the same; the shards that are there, less those with errors to be tried again.

        Raises: LionError where the folder's run is another one.
        """
        job = self.job
        self.output.start(
            {
                "do": [ask.name for ask in job.asks],
                "prompt_tags": list(job.tags) if isinstance(job.tags, (list, tuple)) else job.tags,
                "if_there": job.if_there,
                "format": job.form,
                "column": job.column,
                "shard_size": self.shard_size,
                "input": self.given,
                "input_list": digest(self.shards),
                "shards": len(self.shards),
                **identity,
                "commit": commit(),
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        )
        done = self.output.done(len(self.shards))
        for number in [number for number, counts in done.items() if retry_errors and counts["errors"]]:
            self.output.drop(number)
            del done[number]
        return done

    def kept(self) -> str:
        """In words, what of it is done."""
        done = self.output.done(len(self.shards)).values()
        return f"{len(done)} of {len(self.shards)} shards are kept ({sum(one['inputs'] for one in done)} pictures)"

    def _check_column(self) -> None:
        """A mistake about columns is the same in all files, and reported before there is a model."""
        source = next((shard.sources[0] for shard in self.shards if shard.kind == "parquet"), None)
        if source is None:
            return
        module = parquet()
        try:
            with open_file(source) as file:
                schema = module.read_schema(file)
        except Exception:  # no file, or a damaged one, which becomes an error of its shard
            return
        picture_column(schema, source, self.job.column)


def identity(pipeline: LionPipeline, asks: tuple[Ask, ...]) -> dict[str, Any]:
    """The manifest's part about the model, once it is known that it can answer the questions.

    Raises: LionError if it cannot.
    """
    check(asks, pipeline)
    return {
        "model": pipeline.name,
        "about": pipeline.about,
        "tagger": pipeline.tagger is not None,
        "model_fingerprint": model_fingerprint(pipeline, pipeline.processor.max_text_tokens),
        "decoding": {str(task): preset.to_json() for task, preset in pipeline.decoding.items()},
        "versions": {"lion-vlm": metadata.version("lion-vlm"), **versions()},
    }


class Progress:
    """How much is done of how much."""

    def __init__(self, plan: Plan, done: Mapping[int, Counts], report: OnProgress) -> None:
        self._report, self._plan = report, plan
        left = [shard.pictures for number, shard in enumerate(plan.shards) if number not in done]
        self._left, self._archives = len(left), left.count(None)
        self._known = sum(count for count in left if count is not None)
        self._size = float(plan.shard_size)
        self._done = sum(counts["inputs"] for counts in done.values())
        self._ended = self._done

    def advance(self, count: int) -> None:
        """Note more that are done."""
        self._done += count
        ended_and_left = self._ended + self._known + round(self._archives * self._size)
        self._report(self._done, max(self._done + bool(self._left), ended_and_left))

    def end(self, number: int, inputs: int) -> None:
        """Note that a shard has ended, and how many inputs it had; those of archives to come are taken to be alike."""
        self._ended += inputs
        self._left -= 1
        if (known := self._plan.shards[number].pictures) is not None:
            self._known -= known
        else:
            self._archives, self._size = self._archives - 1, float(inputs)
        self.advance(0)


def annotate(
    plan: Plan,
    load: Callable[[], LionPipeline],
    report: OnProgress = lambda done, total: None,
    retry_errors: bool = False,
) -> dict[str, int]:
    """Make the shards that are missing, with the pipeline that `load` gives once the folder is claimed; returns the
    counts of all shards: inputs, rows and errors.

    Pictures of the next shard are decoded, and the shard before is written, while the model works. What interrupts it
    (KeyboardInterrupt) costs the shard in hand.

    Raises: LionError as `Plan.begin`, or if files of the folder are not as they were written.
    """
    job, output = plan.job, plan.output
    with output.claim():
        pipeline = load()
        done = plan.begin(identity(pipeline, job.asks), retry_errors)
        missing = [number for number in range(len(plan.shards)) if number not in done]
        progress = Progress(plan, done, report)
        annotator = Annotator(pipeline, job.asks, job.tags, job.if_there)
        inputs = (records(plan.shards[number], job.column) for number in missing)
        writing: Future[Counts] | None = None
        with Reader(inputs, job.workers) as reader, ThreadPoolExecutor(1, "write") as writer:
            for number in missing:
                made = annotator.shard(reader.shard(), progress.advance)
                progress.end(number, made.counts["inputs"])
                if writing:
                    writing.result()
                writing = writer.submit(output.write, number, made)
            if writing:
                writing.result()
        return output.check(len(plan.shards))
