"""`lion serve` under load, in one run: a JSON and a table.

    python -m perf.serve_load                                 short forms, some two minutes
    python -m perf.serve_load --seconds 120 --soak 20000      the long ones, on a quiet machine

Clients on loopback send all verbs in turn, about drawn pictures. Every answer is compared with what a server gave that
was asked one thing at a time. Rates and times are of pictures that the server has seen before; those of new pictures
stand beside them. There are turns without 16-megapixel pictures, with one, and with one more client that sends nothing
else; each is a new one. What one of them in two minutes does to the others is what a turn with it does among so many
without. The server has a process for each core. The cost of HTTP is that of an app without an engine and without
decoding, beside a bare Starlette app that reads the same JSON and answers the same. Exits with 1 if an answer differs
or fails, or a limit is missed.
"""

import argparse
import asyncio
import base64
import json
import logging
import math
import os
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from itertools import cycle, islice, permutations, takewhile
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
import psutil
import torch
import uvicorn
from fastapi import FastAPI
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse
from starlette.routing import Route

from lion.pipeline import LionPipeline, Request, Result, Verb
from lion.serve.errors import LOG
from lion.serve.protocol import HttpProtocol
from lion.serve.schema import AskBody
from lion.serve.settings import Settings
from lion.world import render
from lion.world.questions import test_questions as questions_of
from perf.report import publish

T = TypeVar("T")

CHAT, VERBS = "/v1/chat/completions", "/v1/lion/"
LEAST_GAIN, MOST_COST = 4.0, 1.5
"""Throughput of all clients against one; cost of HTTP against a bare app."""
NEAR = 2e-3
"""By which likelihoods may differ: rounding depends on what is computed beside them. All else must be equal."""
LIKELIHOODS = frozenset({"confidence", "presence", "score", "nll"})
ROUNDS = 5
"""Of the apps in turn, whose medians are compared."""
TURN = 10.0
"""Seconds with large pictures or without, at most: one run differs from the next by more than what is looked for."""
PHASE = 120.0
"""Seconds in which there is one large picture among all else, put together of turns without it and one with it."""
KINDS = ("none", "one", "only")
"""Turns: without large pictures, with one at some time, and with one more client that sends nothing else."""
CANDIDATES = ["yes", "no", "red", "blue", "2"]
BOXES = {
    "type": "object",
    "properties": {"box": {"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 4}},
    "required": ["box"],
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request and, once known, its answer."""

    path: str
    body: bytes

    @classmethod
    def of(cls, path: str, **fields: Any) -> "Asked":
        return cls(path, json.dumps(fields).encode())


def url_of(image: Image.Image, kind: str = "PNG") -> str:
    """A picture as a data: URL."""
    buffer = BytesIO()
    image.save(buffer, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _chat(text: str, url: str, **fields: Any) -> Asked:
    parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]
    return Asked.of(CHAT, messages=[{"role": "user", "content": parts}], **fields)


def mixed(pictures: int) -> list[Asked]:
    """All verbs about each of so many drawn pictures, picture by picture."""
    sets = [questions_of(name, pictures) for name in ("vqa", "rec", "reg")]
    wanted = {"type": "json_schema", "json_schema": {"name": "box", "schema": BOXES, "strict": True}}
    asked = []
    for vqa, rec, reg in zip(*sets, strict=True):
        url, other = url_of(render(vqa.scene)), url_of(render(rec.scene))
        assert reg.box and rec.expression and vqa.question
        asked += [
            Asked.of(f"{VERBS}caption", image=url),
            Asked.of(f"{VERBS}ask", image=url, question=vqa.question),
            Asked.of(f"{VERBS}locate", image=other, phrase=rec.expression, if_there=True),
            Asked.of(f"{VERBS}describe", image=url_of(render(reg.scene)), box=reg.box.xyxy()),
            Asked.of(f"{VERBS}tag", image=url),
            Asked.of(f"{VERBS}rank", image=url, question=vqa.question, candidates=CANDIDATES),
            _chat(vqa.question, url, logprobs=True, top_logprobs=2),
            _chat("Describe this picture.", url, stream=True, temperature=0),
            _chat(rec.expression, other, response_format=wanted),
        ]
    return asked


def large(count: int) -> Iterator[Asked]:
    """Captions of 16-megapixel photographs, so to say: so many of them, and then again, but with other bytes behind
    their ends each time, so that none has been decoded before."""
    rng, begun = np.random.default_rng(0), []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (200 + number, 200, 3), dtype=np.uint8))
        coarse.resize((4000, 4000)).save(buffer := BytesIO(), "JPEG")
        whole = buffer.getvalue()
        whole += b"\0" * (-len(whole) % 3)  # as base64, it can be continued
        begun.append(b'{"image": "data:image/jpeg;base64,' + base64.b64encode(whole))
    for number, body in enumerate(cycle(begun)):
        yield Asked(f"{VERBS}caption", body + base64.b64encode(number.to_bytes(9, "big")) + b'"}')


class Server:
    """`lion serve` on a free port."""

    def __init__(self, model: str | None, *options: str) -> None:
        words = [sys.executable, "-m", "lion.cli", "serve", *([model] if model else []), "--port", "0", *options]
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert self.process.stderr
        ready, wanted = 0, 1
        while ready < wanted:
            line = next(self.process.stderr, None)
            if line is None:
                raise SystemExit("lion serve did not start; run it by hand to see why")
            entry = json.loads(line) if line.startswith("{") else {}
            if "starting" in entry:  # each process says when it is ready
                wanted = entry["workers"]
            elif "listening" in entry:
                ready += 1
                self.port = int(entry["listening"].rpartition(":")[2])
        self._log = get_context("fork").Process(target=_drain, args=(self.process.stderr,), daemon=True)
        self._log.start()

    def memory(self) -> float:
        """Resident megabytes of all its processes."""
        own = psutil.Process(self.process.pid)
        return sum(one.memory_info().rss for one in [own, *own.children(recursive=True)]) / 2**20

    def end(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(120)
        self._log.terminate()
        return code


def _drain(stream: Any) -> None:
    for _ in stream:
        pass


async def post(asked: Asked, streams: Any) -> tuple[int, Any]:
    """Status and answer of a request over an open connection."""
    reader, writer = streams
    head = f"POST {asked.path} HTTP/1.1\r\nHost: lion\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(asked.body)}\r\n\r\n".encode() + asked.body)
    await writer.drain()
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    body = b""
    if "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    else:
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    return int(lines[0].split()[1]), told(body.decode(), headers["content-type"])


def told(text: str, kind: str) -> Any:
    """What of an answer is the same each time: no ids and times, a stream's pieces joined."""
    if not kind.startswith("text/event-stream"):
        answer = json.loads(text)
        return answer.get("answers") or answer.get("choices") or answer
    rows = [json.loads(line[6:]) for line in text.split("\n\n") if line.startswith("data: {")]
    if failed := next((row for row in rows if "error" in row), None):
        return failed
    choices = [choice for row in rows for choice in row.get("choices", [row])]
    return ["".join(one.get("delta", {}).get("content") or "" for one in choices), choices[-1].get("lion")]


def equal(ours: Any, wanted: Any, name: str = "") -> bool:
    """Whether two answers are the same, but for :data:`NEAR`."""
    if isinstance(ours, dict) and isinstance(wanted, dict):
        return ours.keys() == wanted.keys() and all(equal(ours[key], wanted[key], key) for key in ours)
    if isinstance(ours, list) and isinstance(wanted, list):
        return len(ours) == len(wanted) and all(equal(a, b, name) for a, b in zip(ours, wanted, strict=True))
    if (name in LIKELIHOODS or "logprob" in name) and isinstance(ours, float) and isinstance(wanted, float):
        return abs(ours - wanted) <= NEAR * max(1.0, abs(wanted))
    return bool(ours == wanted)


@dataclass(slots=True)
class Run:
    """What came of a phase."""

    milliseconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    differ: list[str] = field(default_factory=list)
    answers: dict[Asked, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.milliseconds) / self.seconds

    def percentile(self, share: float) -> float:
        """Milliseconds within which so many answers came; NaN where none did."""
        if not self.milliseconds:
            return float("nan")
        return sorted(self.milliseconds)[max(math.ceil(share * len(self.milliseconds)) - 1, 0)]


async def _client(port: int, requests: Iterator[Asked], known: dict[Asked, Any], run: Run) -> None:
    streams = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    for asked in requests:
        began = perf_counter()
        try:
            status, answer = await post(asked, streams)
        except (OSError, asyncio.IncompleteReadError) as error:
            run.failed.append(f"{asked.path}: {type(error).__name__}")
            streams = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
            continue
        run.milliseconds.append(1000 * (perf_counter() - began))
        if status != 200 or (isinstance(answer, dict) and "error" in answer):
            run.failed.append(f"{asked.path}: {status}, {json.dumps(answer)[:200]}")
        elif not equal(answer, known.setdefault(asked, answer)):
            run.differ.append(f"{asked.path}: {json.dumps(answer)[:300]} is not {json.dumps(known[asked])[:300]}")
    streams[1].close()


def clients(
    port: int,
    sources: Sequence[Callable[[], Iterator[Asked]]],
    known: dict[Asked, Any],
    beside: Iterator[Asked] | None = None,
    after: float = 0.0,
    watch: Callable[[Run], None] | None = None,
) -> tuple[Run, Run]:
    """A client for each source, all at a time. ``watch`` looks each second.

    Args:
        beside: what one more client asks from so many seconds ``after`` the others' begin; counted apart, and only what
            is answered while they ask.
    """
    run, other = Run(), Run()

    async def one_more() -> None:
        if beside:
            await asyncio.sleep(after)
            await _client(port, beside, {}, other)

    async def observe() -> None:
        while watch:
            watch(run)
            await asyncio.sleep(1)

    async def all_of_them() -> None:
        watcher, more = asyncio.ensure_future(observe()), asyncio.ensure_future(one_more())
        await asyncio.gather(*(_client(port, source(), known, run) for source in sources))
        run.seconds, counted = perf_counter() - began, len(other.milliseconds)
        watcher.cancel()
        await more
        del other.milliseconds[counted:]

    began = perf_counter()
    asyncio.run(all_of_them())
    return run, other


def once(requests: Sequence[Asked], count: int) -> list[Callable[[], Iterator[Asked]]]:
    """Sources that share a list, each request once."""
    shared = iter(requests)
    return [lambda: shared] * count


def _for_a_time(requests: Iterator[Asked], seconds: float) -> Iterator[Asked]:
    """So many seconds from now on."""
    end = perf_counter() + seconds
    return takewhile(lambda _: perf_counter() < end, requests)


def until(requests: Sequence[Asked], count: int, seconds: float) -> list[Callable[[], Iterator[Asked]]]:
    """Sources that go through a list again and again for so many seconds, each from another place on."""

    return [partial(_for_a_time, source, seconds) for source in rounds(requests, count)]


def rounds(requests: Sequence[T], clients: int) -> list[Iterator[T]]:
    """For each client the list without an end, from a place of its own on."""
    step = max(len(requests) // clients, 1)
    places = [number * step % len(requests) for number in range(clients)]
    return [cycle([*requests[place:], *requests[:place]]) for place in places]


def check_load(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Throughput and times: one client, all of them, and, in turns with that, all with large pictures from one."""
    requests, count, seconds = mixed(options.pictures), options.clients, options.seconds
    look = _look_milliseconds(options)
    known: dict[Asked, Any] = {}
    server = _server(options)
    new, _ = clients(server.port, once(requests, 1), known)
    alone, _ = clients(server.port, until(requests, 1, seconds / 2), known)
    codes = [server.end()]
    server = _server(options)
    new_together, _ = clients(server.port, once(requests, count), known)
    pictures = large(options.large)
    next(pictures)  # they are made now
    turns: dict[str, list[tuple[Run, Run]]] = {kind: [] for kind in KINDS}
    count_turns = max(round(seconds / TURN), 2)
    length = seconds / count_turns
    orders, rng = list(permutations(KINDS)), np.random.default_rng(0)
    for number in range(count_turns):
        for kind in orders[number % len(orders)]:
            among = {"none": None, "one": islice(pictures, 1), "only": _for_a_time(pictures, length)}[kind]
            after = rng.uniform(0, length / 2) if kind == "one" else 0.0
            turns[kind].append(clients(server.port, until(requests, count, length), known, among, after))
    codes.append(server.end())
    together = _joined([run for run, _ in turns["none"]])
    runs = (new, alone, new_together, *(run for kind in KINDS for pair in turns[kind] for run in pair))
    for one in runs:
        for line in [*one.failed[:3], *one.differ[:3]]:
            print(line, file=sys.stderr)
    gain = together.rate / alone.rate
    rows = [
        _row("one client, pictures seen before, answers/s", alone.rate),
        _row(f"{count} clients, answers/s", together.rate),
        _row(f"{count} clients: throughput against one by one", gain, gain >= LEAST_GAIN),
        _row("the same, new pictures", new_together.rate / new.rate),
        _row("one client, p50, ms", alone.percentile(0.5)),
        _row("one client, p99, ms", alone.percentile(0.99)),
        _row(f"{count} clients, p50, ms", together.percentile(0.5)),
        _row(f"{count} clients, p99, ms", together.percentile(0.99)),
        _row("one look, ms", look),
    ]
    among = min(round(PHASE / length), count_turns)
    rows += _rises(turns, "one", f"16 megapixels once in {among * length:.0f} s", among, look)
    for kind, told in (("one", f"16 megapixels once in {length:.0f} s"), ("only", "16 megapixels all the time")):
        rows += _rises(turns, kind, told) + _themselves(turns, kind, told)
    return [
        *rows,
        _row("answers in all", sum(len(one.milliseconds) for one in runs)),
        _row("errors", sum(len(one.failed) for one in runs), not any(one.failed for one in runs)),
        _row("differ from the single call", sum(len(one.differ) for one in runs), not any(one.differ for one in runs)),
        _row("exit code after SIGTERM", max(codes, key=abs), not any(codes)),
    ]


def _rises(
    turns: dict[str, list[tuple[Run, Run]]], kind: str, told: str, among: int = 1, most: float | None = None
) -> list[dict[str, Any]]:
    """By how much p50 and p99 of the others are higher beside large pictures, in turns of a kind against those without.

    Args:
        turns: for each kind those of the others and of the large pictures.
        kind: of turn.
        told: what that is.
        among: how many turns are counted together, of which one is of that kind, against as many without.
        most: milliseconds by which p99 may rise.
    """
    plain, beside = ([run for run, _ in turns[name]] for name in ("none", kind))
    rises: dict[float, list[float]] = {0.5: [], 0.99: []}
    for number, run in enumerate(beside):
        same = [plain[(number + step) % len(plain)] for step in range(1, among)]
        with_it, without = _joined([run, *same]), _joined([plain[number], *same])
        for share, found in rises.items():
            found.append(with_it.percentile(share) - without.percentile(share))
    rise, error = np.mean(rises[0.99]), np.std(rises[0.99], ddof=1) / len(beside) ** 0.5
    return [
        _row(f"{told}: p50 of the others rises by, ms", np.mean(rises[0.5])),
        _row(f"{told}: p99 of the others rises by, ms", rise, None if most is None else rise <= most),
        _row(f"{told}: standard error of that, {len(beside)} turns, ms", error),
    ]


def _themselves(turns: dict[str, list[tuple[Run, Run]]], kind: str, told: str) -> list[dict[str, Any]]:
    """The large pictures in turns of a kind; ``told`` is what that is."""
    large = _joined([other for _, other in turns[kind]])
    return [
        _row(f"{told}: pictures", len(large.milliseconds)),
        _row(f"{told}: those themselves, p50, ms", large.percentile(0.5)),
        _row(f"{told}: those themselves, longest, ms", large.percentile(1.0)),
    ]


def _server(options: argparse.Namespace) -> Server:
    return Server(options.model, "--workers", str(options.workers))


def _joined(runs: Sequence[Run]) -> Run:
    """What came of several turns."""
    together = Run(seconds=sum(run.seconds for run in runs))
    for run in runs:
        together.milliseconds += run.milliseconds
        together.failed += run.failed
        together.differ += run.differ
    return together


def _look_milliseconds(options: argparse.Namespace) -> float:
    """Vision Encoder, Vision Aggregator and tagger on a picture, one at a time, as a process of the server computes."""
    lion, threads = LionPipeline.from_pretrained(options.model), torch.get_num_threads()
    torch.set_num_threads(1)
    first, *pictures = (render(question.scene) for question in questions_of("vqa", options.pictures))
    lion.look(first)
    times = []
    for picture in pictures:
        began = perf_counter()
        lion.look(picture)
        times.append(1000 * (perf_counter() - began))
    torch.set_num_threads(threads)
    return float(np.median(times))


def check_soak(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Memory of all processes over many requests: the slope of the second half, in which all caches are full."""
    requests = mixed(options.pictures)
    server = _server(options)
    points: list[tuple[int, float]] = []
    known: dict[Asked, Any] = {}
    clients(server.port, once(requests, options.clients), known)
    shared = (asked for _, asked in zip(range(options.soak), cycle(requests), strict=False))
    run, _ = clients(
        server.port,
        [lambda: shared] * options.clients,
        known,
        watch=lambda run: points.append((len(run.milliseconds), server.memory())),
    )
    points.append((len(run.milliseconds), server.memory()))
    code = server.end()
    slope, all_of_it = (_slope([point for point in points if point[0] >= least]) for least in (options.soak / 2, 0))
    bad = [*run.failed, *run.differ]
    return [
        _row("soak: requests", len(run.milliseconds), len(run.milliseconds) == options.soak and not bad and not code),
        _row("soak: answers/s", run.rate),
        _row("soak: memory of all processes at its begin, MB", points[0][1]),
        _row("soak: and at its end, MB", points[-1][1]),
        _row("soak: MB per 1,000 requests, second half", slope),
        _row("soak: MB per 1,000 requests, all of it", all_of_it),
    ]


def _slope(points: Sequence[tuple[int, float]]) -> float:
    """Megabytes per 1,000 requests; NaN where there is no more than one number of requests."""
    if len({count for count, _ in points}) < 2:
        return float("nan")
    return 1000 * float(np.polyfit(*zip(*points, strict=True), 1)[0])


class _NoWorker:
    """Has each answer ready."""

    alive, answers = True, None

    def __init__(self, pipeline: LionPipeline) -> None:
        self.pipeline = pipeline

    def start(self) -> None: ...
    def close(self) -> None: ...

    @asynccontextmanager
    async def job(self, request: Request, streams: bool = False) -> AsyncIterator["_NoWorker"]:
        yield self

    async def result(self) -> Result:
        assert self.answers
        return self.answers


def _serve(kind: str, listener: socket.socket, image: Path) -> None:
    """The app without an engine, the bare one, or FastAPI with a route that checks the same body."""
    warnings.simplefilter("ignore")
    lion = LionPipeline.from_pretrained()
    look = lion.look(image)
    (answer,) = lion.answer([Request(look, Verb.ASK, "is there a kite?")])
    if kind == "ours":
        from lion.serve import app as module

        _NoWorker.answers = Result((answer,))
        module.Worker = _NoWorker  # type: ignore[misc, assignment]

        @asynccontextmanager
        async def opened(self: object, source: object) -> AsyncIterator[object]:
            yield look

        module.Pictures.opened = opened  # type: ignore[method-assign, assignment]
        LOG.addHandler(logging.FileHandler(os.devnull))  # lines are made, as in a server
        LOG.setLevel(logging.INFO)
        app: Any = module.create_app(lion, Settings())
    else:
        row = answer.to_json()

        async def respond(request: HttpRequest) -> JSONResponse:
            await request.json()
            return JSONResponse({"model": "lion-mini", "answers": [row]})

        async def respond_checked(body: AskBody) -> JSONResponse:
            return JSONResponse({"model": "lion-mini", "answers": [row]})

        if kind == "bare":
            app = Starlette(routes=[Route(f"{VERBS}ask", respond, methods=["POST"])])
        else:
            app = FastAPI()
            app.post(f"{VERBS}ask")(respond_checked)
    own = {"http": HttpProtocol} if kind == "ours" else {}
    config = uvicorn.Config(app, log_config=None, access_log=False, **own)  # type: ignore[arg-type]
    uvicorn.Server(config).run([listener])


def _listener() -> socket.socket:
    """On a free port. It names its protocol, without which asyncio leaves Nagle's algorithm on, and every answer of a
    head and a body waits 40 ms."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    return listener


def check_http(image: Path, seconds: float) -> list[dict[str, Any]]:
    """CPU time and rate of a request that no engine answers, beside a bare app."""
    asked = Asked.of(f"{VERBS}ask", image=url_of(Image.open(image)), question="is there a kite?")
    kinds = ("bare", "fastapi", "ours")
    listeners = {kind: _listener() for kind in kinds}
    servers = {
        kind: get_context("spawn").Process(target=_serve, args=(kind, listeners[kind], image), daemon=True)
        for kind in kinds
    }
    cost: dict[str, list[float]] = {kind: [] for kind in kinds}
    rate: dict[str, list[float]] = {kind: [] for kind in kinds}
    for server in servers.values():
        server.start()
    for number in range(ROUNDS + 1):
        for kind in kinds:
            port, process = listeners[kind].getsockname()[1], psutil.Process(servers[kind].pid)
            if number == 0:
                clients(port, once([asked] * 200, 4), {})
                continue
            before = sum(process.cpu_times()[:2])
            run, _ = clients(port, until([asked], 4, seconds / ROUNDS), {})
            cost[kind].append(1000 * (sum(process.cpu_times()[:2]) - before) / len(run.milliseconds))
            rate[kind].append(run.rate)
    for server in servers.values():
        server.terminate()
        server.join(10)
    ratio, plain = (float(np.median(cost[kind]) / np.median(cost["bare"])) for kind in ("ours", "fastapi"))
    return [
        _row(f"HTTP, {len(asked.body) / 1000:.0f} kB: bare app, CPU ms a request", np.median(cost["bare"])),
        _row("HTTP: ours without an engine, CPU ms a request", np.median(cost["ours"])),
        _row("HTTP: ours against the bare app, CPU", ratio, ratio <= MOST_COST),
        _row("HTTP: FastAPI with one route that checks the body, against the bare app, CPU", plain),
        _row("HTTP: ours against the bare app, answers/s", np.median(rate["ours"]) / np.median(rate["bare"])),
    ]


def _row(what: str, value: Any, passed: bool | None = None) -> dict[str, Any]:
    """A measured value, None where there was nothing to measure; ``passed`` is None where nothing was promised."""
    return {
        "what": what,
        "value": None if math.isnan(value) else float(value),
        "passed": None if passed is None else bool(passed),
    }


def main(arguments: list[str] | None = None) -> int:
    """Run all, write the JSON, print the table; 1 if a check failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a checkpoint; lion-mini if left out")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes of the server")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--pictures", type=int, default=16, help="of which nine things are asked each")
    parser.add_argument("--large", type=int, default=32, help="16-megapixel pictures")
    parser.add_argument("--seconds", type=float, default=15, help="of a phase, and of all its turns")
    parser.add_argument("--soak", type=int, default=500, help="requests; 0 for none")
    parser.add_argument("--image", type=Path, default=Path("examples/scene.png"), help="of the cost of HTTP")
    parser.add_argument("--out", type=Path, default=Path("serve_load.json"))
    options = parser.parse_args(arguments)
    began = perf_counter()
    rows = check_http(options.image, min(options.seconds, 10)) + check_load(options)
    rows += check_soak(options) if options.soak else []
    return publish(rows, options, perf_counter() - began, options.out)


if __name__ == "__main__":
    raise SystemExit(main())
