"""A request's pictures: from a URL or an upload to an opened :class:`~lion.pipeline.Look`, off the event loop.

Bytes become the squares that model and tagger read in processes of bounded memory (:mod:`lion.serve.pixels`), so that a
large picture delays nobody: large ones have processes of their own, which take the time that the cores have left, so
that small ones do not wait behind them. The squares are kept by the bytes that they came of: each turn of a chat sends
its picture again. Where a tagger of one's own reads whole pictures, none is kept, and only so many are held at a time:
further ones wait, still encoded.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager, nullcontext
from multiprocessing import get_context
from typing import TypeVar

from lion.errors import LionError
from lion.pipeline import LionPipeline, Look
from lion.pipeline.evidence import SquashedLook
from lion.serve import pixels
from lion.serve.fetch import fetch
from lion.serve.settings import Settings
from lion.tagging import RamTagger

T = TypeVar("T")


def squashes_of(pipeline: LionPipeline) -> tuple[pixels.Squash | None, pixels.Squash | None]:
    """What a pipeline's model makes of a picture, and what its tagger; None for what takes it as it is."""
    model, tagger = pipeline.processor.image_processor.squash, pipeline.tagger
    return model, tagger.squash if isinstance(tagger, RamTagger) else None if tagger else model


STEPS_BACK = 19
"""Niceness of the processes for large pictures."""
ASKS_AGAIN = 2.0
"""Seconds after which a picture that waits asks whether its pool still works."""
HELD = 16
"""Pictures whose pixels may be held at a time, where the tagger reads all of them."""
KEPT_BYTES = 2**26
"""Memory of the squares that are kept: some 60 pictures of a released model and RAM++."""
LONG = 2**20
"""Characters or bytes of a picture whose digest the event loop does not wait for."""


class Kept:
    """What pictures have become, by the digest of their files or URLs; least recently used first out.

    Args:
        most: bytes of squares.
    """

    def __init__(self, most: int) -> None:
        self.most, self.bytes = most, 0
        self._entries: OrderedDict[bytes, pixels.Decoded] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> pixels.Decoded | None:
        """What is kept, which is the last to go now."""
        if key in self._entries:
            self._entries.move_to_end(key)
        return self._entries.get(key)

    def put(self, key: bytes, decoded: pixels.Decoded) -> None:
        """Keep it, in the place of others where there is no room."""
        if key not in self._entries:
            self._entries[key] = decoded
            self.bytes += _size(decoded)
        while self.bytes > self.most:
            self.bytes -= _size(self._entries.popitem(last=False)[1])


def _size(decoded: pixels.Decoded) -> int:
    """Bytes; Pillow gives a pixel four."""
    return sum(4 * image.width * image.height for image in decoded.images)


class Pictures:
    """Opens pictures; belongs to one event loop.

    Args:
        settings: limits.
        squashes: what the model makes of a picture, and what the tagger; None for one that reads all of it.
    """

    def __init__(self, settings: Settings, squashes: Sequence[pixels.Squash | None]) -> None:
        self.settings, self.squashes = settings, squashes
        self._pools = [self._new_pool(large) for large in (False, True)]
        whole = None in squashes
        self._held = asyncio.Semaphore(HELD) if whole else nullcontext()
        self._kept = Kept(0 if whole else KEPT_BYTES)

    def _new_pool(self, large: bool) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self.settings.decode_processes,
            get_context("spawn"),  # a fork would inherit the model's threads and memory
            initializer=pixels.begin,
            initargs=(self.settings.decode_mb, STEPS_BACK if large else 0),
        )

    def close(self) -> None:
        """End the processes."""
        for pool in self._pools:
            pool.shutdown(wait=False, cancel_futures=True)

    @asynccontextmanager
    async def opened(self, source: str | bytes) -> AsyncIterator[Look]:
        """A picture for as long as it is needed.

        Args:
            source: a data: URL, an http(s) URL of an allowed host, or the bytes of a file.

        Raises: LionError if it cannot be opened here, or is too large.
        """
        given = await self._fetched(source)
        key = await asyncio.to_thread(_digest, given) if len(given) > LONG else _digest(given)
        async with self._held:
            if (decoded := self._kept.get(key)) is None:
                decoded = await self._in_a_process(pixels.decode, given, self.squashes)
                self._kept.put(key, decoded)
            image, tagger_image = decoded.images
            yield SquashedLook(
                image, None, decoded.hash, note=decoded.note, tagger_image=tagger_image, picture_size=decoded.size
            )

    async def _fetched(self, source: str | bytes) -> str | bytes:
        """The bytes of a file, or a data: URL, which the processes read."""
        if isinstance(source, bytes) or pixels.is_data(source):
            return source
        most = self.settings.body_mb * 2**20
        return await asyncio.to_thread(fetch, source, self.settings.hosts, most, self.settings.body_seconds)

    async def preview(self, url: str) -> bytes:
        """A small PNG of a picture that a browser cannot show. Raises: as :meth:`opened`."""
        return await self._in_a_process(pixels.preview, await self._fetched(url))

    async def _in_a_process(self, work: Callable[..., T], given: str | bytes, *rest: object) -> T:
        """What a function of a picture and the limits gives."""
        try:
            return await self._in(False, pixels.SMALL, work, given, *rest)
        except pixels.Large:
            return await self._in(True, self.settings.megapixels, work, given, *rest)

    async def _in(self, large: bool, here: float, work: Callable[..., T], given: str | bytes, *rest: object) -> T:
        settings = self.settings
        for _ in range(2):
            pool = self._pools[large]
            try:
                future = asyncio.wrap_future(
                    pool.submit(work, given, settings.megapixels, settings.decode_seconds, here, *rest)
                )
                try:
                    while not (await asyncio.wait({future}, timeout=ASKS_AGAIN))[0]:
                        # fails where the pool has broken, which may forget what was submitted meanwhile
                        pool.submit(int)
                    return future.result()
                finally:
                    future.cancel()
            except BrokenProcessPool:  # by this picture, or another: once more
                if self._pools[large] is pool:
                    self._pools[large] = self._new_pool(large)
        raise LionError("the image cannot be decoded: the process that tried was ended")


def _digest(given: str | bytes) -> bytes:
    """Of a file, or of the URL that holds one: two of them may have the same picture."""
    if isinstance(given, bytes):
        return hashlib.blake2b(given).digest()
    return hashlib.blake2b(given.encode("utf-8", "surrogatepass"), person=b"URL").digest()
