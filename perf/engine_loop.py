"""What an answer costs one core without HTTP, alone and among others: a table, and a JSON if asked for.

    python -m perf.engine_loop                     some half a minute
    python -m perf.engine_loop --seconds 8 --turns 6

The requests of :mod:`perf.serve_load` go straight to a ``ContinuousBatch`` on one thread, about pictures that have been
looked at: one at a time, and with so many outstanding at any time, in turns. That tells how much of the load test's
throughput the engine allows for: twice an answer's time alone to its time among others is what two cores give at most.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from lion.pipeline import ContinuousBatch, LionPipeline, Request, Verb
from lion.prompts import Task
from lion.world import render
from lion.world.questions import test_questions as questions_of
from perf.report import publish
from perf.serve_load import CANDIDATES, rounds


def mixed(lion: LionPipeline, pictures: int) -> list[Request]:
    """The load test's requests, as the server hands them to the pipeline, with the pictures looked at."""
    requests = []
    for vqa, rec, reg in zip(*(questions_of(name, pictures) for name in ("vqa", "rec", "reg")), strict=True):
        one, other, third = (lion.look(render(question.scene)) for question in (vqa, rec, reg))
        requests += [
            Request(one, Verb.CAPTION),
            Request(one, Verb.ASK, vqa.question),
            Request(other, Verb.LOCATE, rec.expression, if_there=True),
            Request(third, Verb.DESCRIBE, box=reg.box),
            Request(one, Verb.TAG),
            Request(one, Verb.ASK, vqa.question, candidates=CANDIDATES),
            Request(one, Verb.ASK, vqa.question, decoding=replace(lion.decoding[Task.VQA], top_logprobs=2)),
            Request(one, Verb.CAPTION, decoding=replace(lion.decoding[Task.CAPTION], num_beams=1)),
            Request(other, Verb.LOCATE, rec.expression, decoding=replace(lion.decoding[Task.REC], box_only=True)),
        ]
    for request in requests:
        assert request.image.tags is not None  # tagged before the clock runs
    return requests


def milliseconds(lion: LionPipeline, requests: Sequence[Request], outstanding: int, seconds: float) -> float:
    """Of an answer, while so many requests are outstanding for so long: each that is answered is followed by one."""
    batch, owners, answered = ContinuousBatch(lion), dict[int, Iterator[Request]](), 0
    for source in rounds(requests, outstanding):
        owners[batch.submit(next(source))] = source
    began = perf_counter()
    while perf_counter() - began < seconds:
        for ticket in batch.step():
            source = owners.pop(ticket)
            owners[batch.submit(next(source))] = source
            answered += 1
    spent = 1000 * (perf_counter() - began)
    batch.cancel()
    return spent / max(answered, 1)


def measured(run: Callable[[int], float], outstanding: int, turns: int) -> list[dict[str, Any]]:
    """Rows of both, and of how they compare, in turns beside each other."""
    alone, among = [], []
    for _ in range(turns):
        alone.append(run(1))
        among.append(run(outstanding))
    gains = np.array(alone) / np.array(among)
    error = float(gains.std(ddof=1) / turns**0.5) if turns > 1 else None
    values = {
        "one at a time, ms an answer": float(np.median(alone)),
        f"{outstanding} outstanding, ms an answer": float(np.median(among)),
        "gain of a core": float(gains.mean()),
        f"standard error of that, {turns} turns": error,
    }
    return [{"what": what, "value": value, "passed": None} for what, value in values.items()]


def on_one_core(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Load the model, run, and give the other cores back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        lion = LionPipeline.from_pretrained(options.model, batch_size=options.batch_size)
        requests = mixed(lion, options.pictures)
        milliseconds(lion, requests, options.outstanding, options.seconds / 2)  # warm
        run = partial(milliseconds, lion, requests, seconds=options.seconds)
        return measured(run, options.outstanding, options.turns)
    finally:
        torch.set_num_threads(threads)


def main(arguments: list[str] | None = None) -> int:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a checkpoint; lion-mini if left out")
    parser.add_argument("--outstanding", type=int, default=32, help="requests at any time")
    parser.add_argument("--batch-size", type=int, default=16, help="prompts that are decoded together")
    parser.add_argument("--pictures", type=int, default=16, help="of which nine things are asked each")
    parser.add_argument("--seconds", type=float, default=4, help="of a turn")
    parser.add_argument("--turns", type=int, default=3, help="of each kind")
    parser.add_argument("--out", type=Path, help="a JSON of it")
    options = parser.parse_args(arguments)
    began = perf_counter()
    rows = on_one_core(options)
    return publish(rows, options, perf_counter() - began, options.out)


if __name__ == "__main__":
    raise SystemExit(main())
