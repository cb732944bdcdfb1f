"""What every request passes before a route sees it: its key, its share of the server, its size, its log line."""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from random import Random
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lion.errors import LionError, unique_keys
from lion.serve.errors import LOG, HttpError, error_response, log_line
from lion.serve.metrics import Metrics, labelled
from lion.serve.page import PATHS
from lion.serve.settings import Settings

OPEN = frozenset({"/healthz", "/readyz", *PATHS})
"""Routes without a key, for those who watch whether the server lives, and the files of the page."""
HELD = 32
"""Bodies of the largest allowed size whose bytes may be held at a time, arriving or being answered."""
MOST_CLIENTS = 10_000
"""Whose requests are counted at a time."""


class Guards:
    """Middleware around the app. Nothing of pictures, texts or answers is logged."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics, clock: Callable[[], float] = time.monotonic):
        self.app, self.settings, self.metrics, self.clock = app, settings, metrics, clock
        self.in_progress, self.held = 0, 0
        self._ids = Random()
        self._shares: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = self.clock(), 0
        entry: dict[str, Any] = {"id": f"{self._ids.getrandbits(128):032x}", "method": scope["method"]}
        scope["state"] = {**scope.get("state", {}), "log": entry}

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", entry["id"].encode())]
            await send(message)

        try:
            await self._guarded(scope, receive, answer, entry)
        except HttpError as error:
            await error_response(error)(scope, receive, answer)
        except Exception as error:
            LOG.exception("request %s failed", entry["id"])
            if status:
                raise
            await error_response(error)(scope, receive, answer)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            seconds = self.clock() - began
            labelled(self.metrics.requests, route, status or "gone").inc()
            labelled(self.metrics.seconds, route).observe(seconds)
            line = {"time": round(time.time(), 3), **entry, "route": route, "status": status or "gone"}
            log_line({**line, "ms": round(1000 * seconds, 1)})

    async def _guarded(self, scope: Scope, receive: Receive, send: Send, entry: dict[str, Any]) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if scope["path"] not in OPEN:
            try:
                entry["key"] = self._key(headers)
                self._count(entry["key"] or (scope.get("client") or ["unknown"])[0])
            except HttpError:
                await self._discard(headers, receive)
                raise
        if scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        try:
            self._check_busy()
            body = await self._body(headers, receive)
        except HttpError as error:
            if error.status_code in (413, 429):
                await self._discard(headers, receive)
            raise
        try:
            self._check_busy()
            if not headers.get(b"content-type", b"").startswith(b"multipart/form-data"):
                _check_keys(body)
            scope["state"]["body"] = body
            self._progress(1)  # of one whose body still arrives nothing is in progress: slow clients take no place
            try:
                await self.app(scope, _replayed(body, receive), send)
            finally:
                self._progress(-1)
        finally:
            self.held -= len(body)

    def _check_busy(self) -> None:
        if self.in_progress >= self.settings.requests or self.held > HELD * self.settings.body_mb * 2**20:
            raise HttpError(429, "the server is busy; try again in a moment", "busy", headers={"Retry-After": "1"})

    def _progress(self, change: int) -> None:
        self.in_progress += change
        self.metrics.in_progress.inc(change)

    def _key(self, headers: dict[bytes, bytes]) -> str | None:
        if not self.settings.keys:
            return None
        name = self.settings.key_name(headers.get(b"authorization", b"").decode("latin-1"))
        if name is None:
            hint = "this server wants an API key of its own: Authorization: Bearer KEY"
            raise HttpError(401, hint, "invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
        return name

    def _count(self, client: str) -> None:
        """A bucket that holds a minute's requests and fills up evenly."""
        rate = self.settings.requests_per_minute
        if not rate:
            return
        now = self.clock()
        left, then = self._shares.pop(client, (float(rate), now))
        left = min(left + (now - then) * rate / 60, rate)
        self._shares[client] = (max(left - 1, 0.0) if left >= 1 else left, now)
        if len(self._shares) > MOST_CLIENTS:
            self._shares.popitem(last=False)
        if left < 1:
            wait = str(max(round((1 - left) * 60 / rate + 0.5), 1))
            raise HttpError(429, f"more than {rate} requests a minute", "rate_limit", headers={"Retry-After": wait})

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """All of it, which is counted among the bytes that are held."""
        most = self.settings.body_mb * 2**20
        too_large = HttpError(413, f"the body is larger than {self.settings.body_mb} MB, the limit", "body_too_large")
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > most:
            raise too_large
        parts, size, arrived = [], 0, False
        try:
            async with asyncio.timeout(self.settings.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise HttpError(400, "the body is cut off: send all of it", "invalid_body")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    self.held += len(parts[-1])
                    if size > most:
                        raise too_large
                    self._check_busy()
                    if not message.get("more_body", False):
                        arrived = True
                        return b"".join(parts)
        except TimeoutError:
            seconds = f"{self.settings.body_seconds:g} s"
            raise HttpError(408, f"the body did not arrive within {seconds}", "slow_body") from None
        finally:
            self.held -= 0 if arrived else size

    async def _discard(self, headers: dict[bytes, bytes], receive: Receive) -> None:
        """Read what is still being sent, for a while: who writes does not read, and would see a broken connection in
        place of the error. Who asks first (``Expect``) need not send at all."""
        if b"expect" in headers or not (headers.keys() & {b"content-length", b"transfer-encoding"}):
            return
        try:
            async with asyncio.timeout(self.settings.body_seconds):
                while (message := await receive())["type"] != "http.disconnect" and message.get("more_body", False):
                    pass
        except TimeoutError:
            return


_DECODER = json.JSONDecoder(object_pairs_hook=unique_keys)


def _check_keys(body: bytes) -> None:
    """Raises: HttpError for a key that an object of a JSON body has twice, of which whoever reads it keeps the last."""
    try:
        text = _without_pictures(body)
        _DECODER.decode(text.decode(json.detect_encoding(text), "surrogatepass"))  # what Starlette would read
    except LionError as error:
        raise HttpError(400, f"{error}: give it once", "invalid_value") from None
    except (ValueError, RecursionError):
        return  # no JSON, as the route says in its own words


def _without_pictures(body: bytes) -> bytes:
    """A JSON body with empty strings in the place of data: URLs, which are most of it and hold no key: what is left is
    read in no time. All of the body where a string of it is no plain URL."""
    parts, end = [], 0
    while (begin := body.find(b'"data:', end)) >= 0:
        close = body.find(b'"', begin + 1)
        escaped = body[begin - 1 : begin] == b"\\" or body.find(b"\\", begin, close) >= 0
        if close < 0 or escaped or body[close + 1 : close + 100].lstrip()[:1] not in (b",", b"}", b"]"):
            return body
        parts += [body[end:begin], b'""']
        end = close + 1
    return b"".join([*parts, body[end:]])


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body that has been read, and then whatever else comes."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return first.pop() if first else await receive()

    return next_message
