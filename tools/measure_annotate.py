"""The throughput of ``lion annotate`` beside that of its engine alone, for docs/how-to/annotate_at_scale.md.

    python -m tools.measure_annotate                    # lion-mini, 400 drawn pictures, 3 rounds
    python -m tools.measure_annotate MODEL --pictures 2000 --do 'caption,tags,locate:"the red ball"' --decoding lion

The engine alone is `LionPipeline.answer` over the same requests about pictures that are decoded already. The two take
turns, and each round's ratio is printed: reading, decoding, hashing and writing are all that differ. The ratio of CPU
seconds is what it would be if none of that ran beside the model; it holds on a busy machine, too.
"""

import argparse
import statistics
import tempfile
import time
from datetime import date
from pathlib import Path

from lion.annotate.asks import parse
from lion.annotate.run import Job, Plan, annotate
from lion.images import open_image
from lion.pipeline import LionPipeline
from lion.provenance import commit, hardware
from lion.world.writer import write


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--pixels", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--do", default='caption,tags,locate:"the red ball"')
    parser.add_argument("--decoding", default="greedy")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--device")
    given = parser.parse_args()
    pipeline = LionPipeline.from_pretrained(
        given.model, device=given.device, batch_size=given.batch_size, decoding=given.decoding
    )
    asks = parse([given.do])
    print(f"{pipeline!r}, {hardware(pipeline.model.device)}, {date.today()}, commit {commit()}")
    print(f"{given.pictures} pictures of {given.pixels} x {given.pixels}, {given.do}, {given.decoding}")
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "in", given.pictures, seed=1, split="test", pixels=given.pixels)
        paths = sorted((Path(folder) / "in").rglob("*.png"))
        read = sum(path.stat().st_size for path in paths)
        ratios = []
        for number in range(given.rounds):
            pictures = [open_image(path.read_bytes()) for path in paths]
            pipeline.cache.clear()
            start, work = time.perf_counter(), time.process_time()
            pipeline.answer([ask.request(picture) for picture in pictures for ask in asks])
            alone, alone_work = time.perf_counter() - start, time.process_time() - work
            plan = Plan(str(Path(folder) / "in"), Path(folder) / f"out{number}", Job(asks, workers=2))
            start, work = time.perf_counter(), time.process_time()
            annotate(plan, lambda: pipeline)
            bulk, bulk_work = time.perf_counter() - start, time.process_time() - work
            written = sum(path.stat().st_size for path in plan.output.folder.rglob("*.parquet"))
            ratios.append((alone / bulk, alone_work / bulk_work))
            print(
                f"alone {given.pictures / alone:.1f} pictures/s, lion annotate {given.pictures / bulk:.1f} pictures/s, "
                f"ratio {alone / bulk:.3f}, of CPU seconds {alone_work / bulk_work:.3f}; "
                f"bytes a picture {read / len(paths):.0f} in, {written / len(paths):.0f} out",
                flush=True,
            )
    elapsed, work = (statistics.median(each) for each in zip(*ratios, strict=True))
    print(f"median ratio {elapsed:.3f}, of CPU seconds {work:.3f}")


if __name__ == "__main__":
    main()
