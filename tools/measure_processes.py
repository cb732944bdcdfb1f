"""Whether scores depend on how many processes trained, for docs/explanation/processes.md: minutes a model.

    python -m tools.measure_processes FOLDER                # one process, and 2 and 4 with DDP and FSDP2
    python -m tools.measure_processes FOLDER --steps 4 --pictures 4 --processes 2

lion-mini learns the prints of examples/finetune_own with the parts and the rate that `lion finetune` takes, in float32
and over the same global batches. Then every model answers the same questions about fresh prints. The table has its
scores, and how many questions it answered in other words than the model that one process trained.
"""

import argparse
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file

from lion.eval import DatasetBenchmark, Evaluation
from lion.eval.predictions import Predictions
from lion.metrics import Estimate
from lion.pipeline import LionPipeline
from lion.provenance import commit, hardware

DRAW = Path(__file__).parents[1] / "examples" / "finetune_own" / "draw.py"
SETTINGS = ["order=epochs", "batch_size=2", "gradient_accumulation=4", "precision=fp32", "validation=null", "workers=0"]
SETTINGS += ["trainable=[image_adapter,region_adapter,router,tag_soft_prompt]", "optimizer.lr=1e-3"]
SETTINGS += ["options.soft_coordinates=1.0"]
SHARDED = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}


class Measured(NamedTuple):
    """A model: its name, how far the losses of its training and its weights are off, its answers and scores."""

    name: str
    loss: float
    """The largest difference of a step's loss from that of one process, as a part of it."""
    weight: float
    """The largest difference of a weight."""
    answers: dict[str, str]
    scores: dict[str, Estimate]

    def otherwise(self, alone: "Measured") -> int:
        """Questions that were answered in other words."""
        return sum(text != alone.answers[question] for question, text in self.answers.items())


def measure(folder: Path, steps: int, pictures: int, processes: list[int]) -> list[Measured]:
    """Train and ask: lion-mini as it is, one process, then each number of them with DDP and with FSDP2."""
    for name, first, count in (("prints", 0, 40), ("fresh", 200, pictures)):
        _run(str(DRAW), str(folder / name), "--first", str(first), "--pictures", str(count))
    found = [_measured(folder, "lion-mini"), _trained(folder, "one process", steps, [])]
    for count in processes:
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
        for wrapper, environment in (("DDP", {}), ("FSDP2", SHARDED)):
            found.append(_trained(folder, f"{count} processes, {wrapper}", steps, launcher, **environment))
    return found


def _trained(folder: Path, name: str, steps: int, launcher: list[str], **environment: str) -> Measured:
    data = [{"source": "jsonl", "path": str(folder / "prints/prints.jsonl"), "flip": 0.5, "crop": 0.3}]
    settings = [*SETTINGS, f"root={folder}", f"out={name}", f"data={json.dumps(data)}"]
    settings += [f"steps={steps}", f"optimizer.warmup={steps // 10}"]
    _run(*launcher, "-m", "lion.cli", "train", "finetune-own", *settings, **environment)
    return _measured(folder, name)


def _run(*words: str, **environment: str) -> None:
    subprocess.run([sys.executable, *words], check=True, env={**os.environ, "OMP_NUM_THREADS": "1", **environment})


def _measured(folder: Path, name: str) -> Measured:
    """What a model scores, and how far it is from the one of one process."""
    place, alone = folder / name, folder / "one process"
    loss = weight = 0.0
    if place.is_dir():
        curves = [[json.loads(line)["loss"] for line in (each / "train.jsonl").open()] for each in (place, alone)]
        loss = max(abs(one / other - 1) for one, other in zip(*curves, strict=True))
        weights, others = (load_file(each / "model.safetensors") for each in (place, alone))
        weight = max(float((weights[key] - others[key]).abs().max()) for key in others)
    pipeline = LionPipeline.from_pretrained(str(place) if place.is_dir() else None)
    answers, scores = dict[str, str](), dict[str, Estimate]()
    for benchmark in DatasetBenchmark.of_file(folder / "fresh/prints.jsonl"):
        scored = folder / "scores" / name / benchmark.label
        evaluation = Evaluation(pipeline, benchmark, scored)
        evaluation.predict()
        evaluation.finish()
        read = Predictions(scored).read
        answers |= {f"{benchmark.label} {one.id}": one.generated for one in benchmark.sample_scores(read)}
        found = benchmark.score(read, blind=False).scores
        scores |= {f"{benchmark.row.task}, {key}": found[key] for key in benchmark.row.headline if key in found}
    return Measured(name, loss, weight, answers, scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a new one")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--pictures", type=int, default=60, help="that are asked about")
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 4])
    given = parser.parse_args()
    models = measure(given.folder.resolve(), given.steps, given.pictures, given.processes)
    alone = models[1]
    print(f"{hardware(torch.device('cpu'))}, {date.today()}, commit {commit()}, {given.steps} steps")
    rows: dict[str, list[str]] = {"trained by": [model.name for model in models]}
    rows["losses off by"] = ["", *(f"{model.loss:.1g}" for model in models[1:])]
    rows["weights off by"] = ["", *(f"{model.weight:.1g}" for model in models[1:])]
    rows[f"of {len(alone.answers)} answered otherwise"] = [str(model.otherwise(alone)) for model in models]
    for name, score in alone.scores.items():
        found = [model.scores[name] for model in models]
        rows[f"{name} ({score.n})"] = [f"{100 * one.value:.2f} ± {100 * one.standard_error:.2f}" for one in found]
    for name, cells in rows.items():
        print(f"| {' | '.join([name, *cells])} |")


if __name__ == "__main__":
    main()
