"""How fast training reads its data, for docs/how-to/archives.md: pictures a second; for data_at_scale.md: many records.

    python -m tools.measure_input                             # 400 JPEGs of 640 x 480, as files, tars and parquet
    python -m tools.measure_input --records 1000000           # the index alone, and a resume far along in it

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
from datetime import date
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lion.data.mixture import EpochMixture
from lion.data.pack import pack
from lion.data.record_source import RecordSource
from lion.data.sources import jsonl, open_index
from lion.errors import LionError
from lion.model import LionImageProcessor
from lion.provenance import commit, hardware


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--records", type=int, help="measure the index with so many records instead")
    given = parser.parse_args()
    print(f"{hardware(torch.device('cpu'))}, {date.today()}, commit {commit()}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LION_CACHE"] = f"{folder}/cache"
        if given.records:
            index(Path(folder), given.records)
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


def _own_memory() -> int:
    """Megabytes of this process that are not pages of files."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) // 1024


if __name__ == "__main__":
    main()
