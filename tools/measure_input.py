"""How fast training reads its data, for docs/how-to/archives.md: pictures a second; for data_at_scale.md: many records.

    python -m tools.measure_input                             # 400 JPEGs of 640 x 480, as files, tars and parquet
    python -m tools.measure_input --records 1000000           # the index alone, and a resume far along in it
    python -m tools.measure_input --texts 20000               # what length_buckets save, and cost
    python -m tools.measure_input --taps 96                   # for tap_cache.md: found entries of the tap cache

Pictures are read as a worker of the trainer reads them, in this one process: in shuffled order, decoded, and resized to
224 x 224. The files lie in the system's cache, so this is the cost of decoding and of the formats, not of a disk. CPU
seconds are what counts on a busy machine; the forms take turns.
"""

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from lion.data.mixture import EpochMixture
from lion.data.pack import pack
from lion.data.record_source import RecordSource
from lion.data.sources import jsonl, open_index
from lion.errors import LionError
from lion.model import LionImageProcessor
from lion.provenance import commit, hardware
from lion.train.tap_cache import TapCache


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--records", type=int, help="measure the index with so many records instead")
    parser.add_argument("--texts", type=int, help="measure length_buckets on so many questions instead")
    parser.add_argument("--taps", type=int, help="measure the tap cache with so many pictures instead")
    given = parser.parse_args()
    print(f"{hardware(torch.device('cpu'))}, {date.today()}, commit {commit()}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LION_CACHE"] = f"{folder}/cache"
        if given.records:
            index(Path(folder), given.records)
        elif given.texts:
            texts(Path(folder), given.texts, given.rounds)
        elif given.taps:
            taps(Path(folder), given.taps, given.rounds)
        else:
            pictures(Path(folder), given.pictures, given.rounds)


def pictures(folder: Path, count: int, rounds: int) -> None:
    """Pictures a second of each form."""
    (folder / "files").mkdir()
    for number in range(count):
        rng = np.random.default_rng(number)
        small = Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).resize(
            (640, 480), Image.Resampling.BICUBIC
        )
        grain = rng.normal(0, 6, (480, 640, 1))
        pixels = (np.asarray(small) + grain).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"files/{number}.jpg", quality=90)
    rows = [{"image": f"{number}.jpg", "caption": f"picture {number}"} for number in range(count)]
    own = folder / "files/own.jsonl"
    own.write_text("\n".join(map(json.dumps, rows)))
    pack(jsonl.read(own).records, folder / "tars", shard_bytes=10**7)
    data = [(folder / f"files/{number}.jpg").read_bytes() for number in range(count)]
    forms = {"files": open_index("jsonl", own), "tars": open_index("shards", folder / "tars")}
    for group in (16, 256):
        _write_parquet(folder / f"rows{group}", data, group)
        forms[f"parquet, {group} rows a group"] = open_index("shards", folder / f"rows{group}")
    print(
        f"{count} JPEGs of 640 x 480, {sum(map(len, data)) / count / 1000:.0f} kB each, to 224 x 224, {rounds} rounds"
    )
    resize = LionImageProcessor(224).resize
    speeds: dict[str, list[float]] = {name: [] for name in forms}
    for number in range(rounds):
        for name, dataset in forms.items():
            mixture = EpochMixture([(RecordSource(dataset), 1.0)], ("measure",), count, 1)
            started = time.process_time()
            samples, bad = mixture.batch(number, 0, count)
            for sample in samples:
                resize(sample.image)
            speeds[name].append(count / (time.process_time() - started))
            assert not bad
    for name, found in speeds.items():
        print(f"{name}: {statistics.median(found):.0f} pictures per CPU second ({min(found):.0f} to {max(found):.0f})")


def _write_parquet(folder: Path, data: list[bytes], group: int) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    folder.mkdir()
    table = arrow.table({"image": data, "caption": [f"picture {number}" for number in range(len(data))]})
    parquet.write_table(table, folder / "a.parquet", row_group_size=group)


def index(folder: Path, count: int) -> None:
    """The rate at which an index is built, its memory, and a resume at sample 10^8."""
    (folder / "0.jpg").write_bytes(b"never opened")
    with (folder / "own.jsonl").open("w") as file:
        for number in range(count):
            row = {"image": "0.jpg", "question": f"what is number {number}?", "answer": f"thing {number % 977}"}
            file.write(json.dumps(row) + "\n")
    before, started = _own_memory(), time.process_time()
    dataset = open_index("jsonl", folder / "own.jsonl")
    spent = time.process_time() - started
    size = sum(path.stat().st_size for path in dataset.records.folder.iterdir()) / 1e6  # type: ignore[attr-defined]
    print(f"{count:,} records indexed in {spent:.0f} CPU s, {count / spent:,.0f} a second, {size:,.0f} MB on disk")
    print(f"memory of its own: {before} MB before, {_own_memory()} MB after")
    started = time.perf_counter()
    again = open_index("jsonl", folder / "own.jsonl")
    mixture = EpochMixture([(RecordSource(again), 1.0)], ("measure",), 256, 1)
    try:
        mixture.batch(10**8 // 256, 0, 256)
    except LionError as error:  # that picture is none: the 20 records that were tried are what is measured
        assert "20 samples in a row" in str(error)
    took = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"resumed at sample 10^8 in {took:.3f} s; memory {_own_memory()} MB, {peak} MB at most with the files")


def texts(folder: Path, count: int, rounds: int, size: int = 24) -> None:
    """Padding of micro-batches of questions of lognormal length, in characters, and the time that sorting takes."""
    (folder / "0.jpg").write_bytes(b"never opened")
    words = np.random.default_rng(0).lognormal(np.log(12), 0.8, count).round().clip(1).astype(int)
    rows = [{"image": "0.jpg", "question": " ".join(["word"] * number), "answer": "yes"} for number in words]
    (folder / "own.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = RecordSource(open_index("jsonl", folder / "own.jsonl"))
    (task,) = source.tasks
    print(f"{count:,} questions, {np.median(words):.0f} words in the median, {size} a micro-batch, {rounds} rounds")
    for buckets in (False, True):
        spent = []
        for number in range(rounds):
            mixture = EpochMixture([(source, 1.0)], ("measure", number), size, 1, length_buckets=buckets)
            started = time.process_time()
            batches = [mixture.places(place, size) for place in range(count // size)]
            spent.append((time.process_time() - started) / (len(batches) * size) * 1e6)
        lengths = [[source.length(int(source.indices(task)[one.number]), task) for one in batch] for batch in batches]
        padding = 1 - sum(map(sum, lengths)) / (size * sum(map(max, lengths)))
        print(f"length_buckets {buckets}: {padding:.0%} padding, {statistics.median(spent):.0f} µs a sample")


def taps(folder: Path, count: int, rounds: int, size: int = 24) -> None:
    """CPU time for a picture whose features are found: EVA ViT-g's size, bfloat16, files in the system's cache."""
    torch.set_num_threads(1)
    pixels = torch.rand(count, 3, 224, 224)
    encoder: Any = SimpleNamespace(taps=(39, 38, 37), state_dict=dict)
    cache = TapCache(folder / "taps", encoder, 10**12, torch.bfloat16)
    batches = pixels.split(size)
    for batch in batches:
        cache(lambda missing: tuple(torch.rand(3, len(missing), 257, 1408)), batch)
    files = list(cache.folder.glob("*/*.safetensors"))
    steps: dict[str, Callable[[], object]] = {
        "all of it": lambda: [cache(lambda missing: (), batch) for batch in batches],
        "hash of the pixels": lambda: [cache._file(picture) for picture in pixels],
        "opening the entry": lambda: [load_file(file) for file in files],
    }
    print(f"{len(files)} entries of {files[0].stat().st_size / 1e6:.2f} MB, {size} pictures a batch, {rounds} rounds")
    for name, step in steps.items():
        spent = []
        for _ in range(rounds):
            started = time.process_time()
            step()
            spent.append((time.process_time() - started) / count * 1e3)
        print(f"{name}: {statistics.median(spent):.1f} CPU ms a picture ({min(spent):.1f} to {max(spent):.1f})")


def _own_memory() -> int:
    """Megabytes of this process that are not pages of files."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) // 1024


if __name__ == "__main__":
    main()
