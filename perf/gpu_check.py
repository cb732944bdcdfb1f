"""What only a GPU can show, in one run of less than 8 minutes on an H200: limits, ids, and a JSON of both.

    python -m perf.gpu_check                       writes gpu_check.json and prints a table
    python -m perf.gpu_check --device cpu --tiny   the same code at a debugging size, in seconds; graphs are not run

A LION of XL's shape with random weights in bfloat16 answers one picture and 64; lion-mini answers in float32 on the GPU
and on the CPU. Exits with 1 if a check fails.
"""

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch

from lion.bench.limits import LARGE, read_speed
from lion.bench.timing import stopwatch
from lion.bench.work import bytes_per_token
from lion.engine import EmbeddedPrompt, Scheduler, Settings, Weights
from lion.model import LionConfig, LionForConditionalGeneration, VisualFeatures
from lion.pipeline import DECODING, LionPipeline, Request, Verb
from lion.world import render
from lion.world.questions import test_questions as questions_of
from perf.report import publish

TOKENS, TEXT, PICTURES = 20, 32, 64
REPEATS = 5
MOST_SECONDS, LEAST_GAIN = 0.060, 10.0
"""For 20 greedy tokens of one picture after the look; 64 pictures together, against one by one."""


class XL:
    """The large model, its prompts, and how long it takes.

    Args:
        device: where it runs.
        config: its shape.
    """

    def __init__(self, device: torch.device, config: LionConfig) -> None:
        torch.manual_seed(0)
        self.device = device
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.bfloat16)
        with device:
            self.model = LionForConditionalGeneration(config).eval()
        torch.set_default_dtype(before)
        self.weights = Weights(self.model.language_model)
        self.launched = Weights(self.model.language_model)
        self.launched.plain = False  # lanes record no graphs of weights that are not plain

    @torch.inference_mode()
    def vision(self, pictures: int) -> VisualFeatures:
        """Random pictures, looked at eight by eight."""
        side = self.model.config.vision_config.image_size
        generator = torch.Generator().manual_seed(1)
        pixels = torch.randn(pictures, 3, side, side, generator=generator).to(self.device, torch.bfloat16)
        return VisualFeatures.concatenate([self.model.look(part) for part in pixels.split(8)])

    @torch.inference_mode()
    def answer(self, vision: VisualFeatures, scheduler: Scheduler, beams: int = 1) -> list[list[int]]:
        """Pictures that were looked at, to ids: Q-Former, encoder, decoder."""
        pictures = len(vision.last_BPV)
        ids = torch.randint(3, 200, (pictures, TEXT), generator=torch.Generator().manual_seed(2)).to(self.device)
        ones = torch.ones_like(ids)
        inputs_BND, mask_BN, _ = self.model.embed(
            vision=vision,
            input_ids=ids,
            attention_mask=ones,
            qformer_input_ids=ids,
            qformer_attention_mask=ones,
            task_levels=torch.ones(pictures, dtype=torch.long, device=self.device),
        )
        settings = Settings(beams, max_new_tokens=TOKENS, min_new_tokens=TOKENS)
        prompts = [EmbeddedPrompt(row[mask], 1, settings) for row, mask in zip(inputs_BND, mask_BN.bool(), strict=True)]
        return [answer[0].ids for answer in scheduler.run(prompts)]

    def seconds(self, run: Callable[[], object]) -> float:
        """Median of some runs, after two that record graphs and choose kernels."""
        return median([stopwatch(run, self.device) for _ in range(REPEATS + 2)][2:])

    @torch.inference_mode()
    def step_seconds(self, vision: VisualFeatures) -> float:
        """Of one token of one picture."""
        scheduler = Scheduler(self.weights, places=1)
        taken: list[float] = []
        step = scheduler.step
        scheduler.step = lambda: taken.append(0.0) or _timed(step, self.device, taken)  # type: ignore[method-assign]
        for _ in range(3):
            self.answer(vision, scheduler)
        return median(taken[2 * TOKENS :])


def _timed(step: Callable[[], Any], device: torch.device, taken: list[float]) -> Any:
    found: list[Any] = []
    taken[-1] = stopwatch(lambda: found.append(step()), device)
    return found[0]


def check_xl(device: torch.device, config: LionConfig, pictures: int, promised: bool) -> list[dict[str, Any]]:
    """Speed of the large model, which must be reached if ``promised``, and its ids with and without graphs."""
    xl = XL(device, config)
    one, many = xl.vision(1), xl.vision(pictures)
    alone, together = Scheduler(xl.weights, places=1), Scheduler(xl.weights, places=pictures)
    single = xl.seconds(lambda: xl.answer(one, alone))
    batch = xl.seconds(lambda: xl.answer(many, together))
    gain = single * pictures / batch
    share = bytes_per_token(xl.model) / xl.step_seconds(one) / read_speed(LARGE, device, torch.bfloat16, 2.0)
    launched = xl.seconds(lambda: xl.answer(one, Scheduler(xl.launched, places=1)))
    rows = [
        _row("look, one picture, ms", 1e3 * xl.seconds(lambda: xl.vision(1))),
        _row(
            f"{TOKENS} greedy tokens of one picture after the look, ms",
            1e3 * single,
            single <= MOST_SECONDS if promised else None,
        ),
        _row("the same, operations launched one by one, ms", 1e3 * launched),
        _row(f"{pictures} pictures after the look, pictures/s", pictures / batch),
        _row(f"{pictures} pictures: throughput against one by one", gain, gain >= LEAST_GAIN if promised else None),
        _row("one row: share of the memory limit, a step", share),
    ]
    if device.type == "cuda":
        rows.append(_row("memory, largest, GiB", torch.cuda.max_memory_allocated(device) / 2**30))
    for beams, vision in ((1, one), (5, one), (1, many), (5, many)):
        places, name = (
            len(vision.last_BPV),
            f"ids with and without graphs, {len(vision.last_BPV)} x {beams} rows: differ",
        )
        if device.type != "cuda":
            rows.append(_row(name))
            continue
        ways = [xl.answer(vision, Scheduler(weights, places), beams) for weights in (xl.weights, xl.launched)]
        differ = sum(ours != theirs for ours, theirs in zip(*ways, strict=True))
        rows.append(_row(name, differ, differ == 0))
    return rows


def check_mini(device: torch.device, pictures: int) -> list[dict[str, Any]]:
    """lion-mini's texts in float32, on the device and on the CPU."""
    scenes = [render(question.scene) for question in questions_of("vqa", pictures, split="val")]
    requests = [
        request
        for scene in scenes
        for request in (
            Request(scene, Verb.CAPTION),
            Request(scene, Verb.ASK, "is there a dog?"),
            Request(scene, Verb.LOCATE, "the biggest thing"),
        )
    ]
    rows = []
    minis = [LionPipeline.from_pretrained(device=where, dtype=torch.float32) for where in (str(device), "cpu")]
    for preset in ("lion", "official"):
        texts = []
        for mini in minis:
            mini.decoding = DECODING[preset]
            texts.append([answer.text for answer in mini.answer(requests)])
        differ = sum(ours != theirs for ours, theirs in zip(*texts, strict=True))
        rows.append(
            _row(f"lion-mini, {preset}, {len(requests)} answers here and on the CPU: differ", differ, differ == 0)
        )
    return rows


def _row(what: str, value: float | None = None, passed: bool | None = None) -> dict[str, Any]:
    """A measured value; ``passed`` is None where nothing was promised. Without a value: not run."""
    return {"what": what, "value": value, "passed": passed}


def main(arguments: list[str] | None = None) -> int:
    """Run all, write the JSON, print the table; 1 if a check failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a debugging size; its times mean nothing")
    parser.add_argument("--out", type=Path, default=Path("gpu_check.json"))
    options = parser.parse_args(arguments)
    begin, device = perf_counter(), torch.device(options.device)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    warnings.simplefilter("ignore")
    config = LionConfig.tiny() if options.tiny else LionConfig.flan_t5_xl()
    rows = check_xl(device, config, 2 if options.tiny else PICTURES, promised=not options.tiny)
    rows += check_mini(device, 1 if options.tiny else 50)
    return publish(rows, options, perf_counter() - begin, options.out, device)


if __name__ == "__main__":
    raise SystemExit(main())
