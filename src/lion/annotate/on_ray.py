"""A bulk run on Ray Data: tasks on CPUs read a shard's files, actors with a pipeline each decode, answer and write.

Ray runs what was lost with a process or a machine again, and a shard has one name: what is made twice is there once.
All machines have to see the input and the output folder under the same paths.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lion.annotate.annotator import Annotator, as_text
from lion.annotate.inputs import Shard
from lion.annotate.output import Output
from lion.annotate.reader import Reader
from lion.annotate.records import Record, records
from lion.annotate.run import Job, OnProgress, Plan, Progress, identity
from lion.checkpoints.finding import no_tagger
from lion.errors import LionError, LionWarning
from lion.pipeline import LionPipeline

READ_TOGETHER = 10_000
"""Read tasks at most; of more shards a task reads several, one after the other."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where to run."""

    address: str
    """Of a running cluster (``auto``, ``ray://HOST:10001``); ``local`` starts one on this machine."""
    actors: int = 1
    gpus: float = 0
    """GPUs of each actor; a part of one lets actors share it."""


def annotate(
    plan: Plan, model: dict[str, Any], cluster: Cluster, report: OnProgress, retry_errors: bool = False
) -> dict[str, int]:
    """As :func:`lion.annotate.run.annotate`; `model` holds the arguments of :meth:`LionPipeline.from_pretrained`."""
    ray = _started(cluster)
    job, output = plan.job, plan.output
    remote = {"num_cpus": 1, "num_gpus": cluster.gpus}
    try:
        with output.claim():
            known = ray.get(ray.remote(**remote)(_identity).remote(model, job))
            done = plan.begin(known, retry_errors)
            if not known["tagger"] and job.tags is None:  # what an actor warns of, nobody sees
                warnings.warn(no_tagger(known["model"]), LionWarning, stacklevel=2)
            missing = [number for number in range(len(plan.shards)) if number not in done]
            progress = Progress(plan, done, report)
            for counts in _made(ray, plan, missing, model, cluster) if missing else ():
                progress.advance(counts["inputs"])
                progress.end(counts["number"], counts["inputs"])
            return output.check(len(plan.shards))
    except ray.exceptions.RayError as error:
        cause: BaseException | None = error
        while cause is not None:
            if type(cause) is LionError:
                raise LionError(str(cause)) from None
            cause = getattr(cause, "cause", None) or cause.__cause__
        raise
    finally:
        ray.shutdown()


def _started(cluster: Cluster) -> Any:
    """The module ray, connected. Raises: LionError without Ray, or without a cluster at the address."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise LionError(f"--ray needs {error.name}; pip install 'lion-vlm[ray]'") from error
    local = cluster.address == "local"
    cpus = max(os.cpu_count() or 1, cluster.actors + 1) if local else None
    try:
        ray.init(
            address="local" if local else cluster.address,
            num_cpus=cpus,
            include_dashboard=False if local else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, ValueError, TimeoutError) as error:
        raise LionError(f"no Ray cluster at {cluster.address}; start one: ray start --head") from error
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    return ray


def _made(
    ray: Any, plan: Plan, missing: list[int], model: dict[str, Any], cluster: Cluster
) -> Iterator[dict[str, int]]:
    """Counts of the shards, each once it is written."""
    items = [{"number": number, **_as_item(plan.shards[number])} for number in missing]
    shards = ray.data.from_items(items, override_num_blocks=min(len(items), READ_TOGETHER))
    read = shards.map_batches(
        _read, batch_size=1, batch_format="pyarrow", fn_kwargs={"column": plan.job.column}, num_cpus=1
    )
    made = read.map_batches(
        _Actor,
        fn_constructor_args=(model, plan.job, plan.output.folder),
        batch_size=1,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=cluster.actors),
        num_cpus=1,
        num_gpus=cluster.gpus,
        max_restarts=-1,  # the default; unlike resources keep Ray from reading within the actors
    )
    yield from made.iter_rows()


def _as_item(shard: Shard) -> dict[str, Any]:
    return {"kind": shard.kind, "sources": list(map(os.fsencode, shard.sources))}  # a name need not be text


def _identity(model: dict[str, Any], job: Job) -> dict[str, Any]:
    return identity(LionPipeline.from_pretrained(**model), job.asks)


def _read(table: Any, column: str | None) -> Any:
    """A shard's row to its files: keys, bytes, and the reasons of those that have none."""
    import pyarrow as arrow

    (row,) = table.to_pylist()
    keys, contents, reasons = list[str](), list[bytes | None](), list[str | None]()
    for record in records(Shard(row["kind"], tuple(map(os.fsdecode, row["sources"]))), column):
        data, reason = None, None
        try:
            data = record.load()
        except (LionError, OSError) as error:
            reason = str(error)
        keys.append(as_text(record.key))
        contents.append(data)
        reasons.append(reason and as_text(reason))
    large = arrow.large_list(arrow.large_binary())  # beyond 2 GiB
    text = arrow.list_(arrow.string())
    schema = arrow.schema({"number": arrow.int64(), "keys": text, "contents": large, "reasons": text})
    return arrow.Table.from_pydict(
        {"number": [row["number"]], "keys": [keys], "contents": [contents], "reasons": [reasons]}, schema=schema
    )


class _Actor:
    """A pipeline that makes shards."""

    def __init__(self, model: dict[str, Any], job: Job, folder: Path) -> None:
        self.annotator = Annotator(LionPipeline.from_pretrained(**model), job.asks, job.tags, job.if_there)
        self.output, self.workers = Output(folder, job.form), job.workers

    def __call__(self, table: Any) -> dict[str, list[int]]:
        (row,) = table.to_pylist()
        files = zip(row["keys"], row["contents"], row["reasons"], strict=True)
        with Reader([[_record(*file) for file in files]], self.workers) as reader:
            made = self.annotator.shard(reader.shard())
        counts = {"number": row["number"], **self.output.write(row["number"], made)}
        return {name: [count] for name, count in counts.items()}


def _record(key: str, data: bytes | None, reason: str | None) -> Record:
    def load() -> bytes:
        if data is None:
            raise LionError(reason or "")
        return data

    return Record(key, load)
