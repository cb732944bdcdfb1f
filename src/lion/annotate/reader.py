"""Reads and decodes the pictures of shards ahead of the model, in threads: Pillow and hashlib let others run meanwhile.

What has been read and not yet been taken is bounded in bytes, decoded size included, whatever the pictures' sizes.
"""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Condition, Thread
from typing import Self

from lion.annotate.records import Record
from lion.errors import LionError
from lion.images import pixel_count
from lion.pipeline import Look

AHEAD = 512 * 2**20
"""Bytes that are held ready; one picture may be larger."""
_LEAST = 2**16
"""Bytes that a picture counts at least."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One input, decoded, or the reason why it is not."""

    key: str
    sha256: str | None
    """Of the file's bytes; None where there are none."""
    look: Look | None
    reason: str | None = None


class Reader:
    """The pictures of shards, in order; a context, whose end stops the reading.

    Args:
        shards: the records of each.
        workers: threads that read files and decode pictures.
        ahead: bound in bytes.
    """

    def __init__(self, shards: Iterable[Iterable[Record]], workers: int, ahead: int = AHEAD) -> None:
        self._shards, self._ahead, self._window = shards, ahead, 2 * workers
        self._pool = ThreadPoolExecutor(workers, "decode")
        self._queue: SimpleQueue[tuple[int, Future[Picture]] | BaseException | None] = SimpleQueue()
        self._held, self._stopped, self._changed = 0, False, Condition()

    def __enter__(self) -> Self:
        Thread(target=self._run, name="read", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def shard(self) -> Iterator[Picture]:
        """The pictures of the next shard, to be taken to the end before the shard after it is asked for."""
        while item := self._queue.get():
            if isinstance(item, BaseException):
                raise item
            size, picture = item
            yield picture.result()
            with self._changed:
                self._held -= size
                self._changed.notify_all()

    def _run(self) -> None:
        try:
            for shard in self._shards:
                for record, data in self._read(shard):
                    size, decoding = self._decode(record, data)
                    self._queue.put((size, decoding))
                    with self._changed:
                        if self._stopped:
                            return
                self._queue.put(None)
        except BaseException as error:  # the taker's to raise
            self._queue.put(error)

    def _read(self, shard: Iterable[Record]) -> Iterator[tuple[Record, Future[bytes]]]:
        """A few records ahead: remote files take their time, whichever way they are decoded."""
        waiting: deque[tuple[Record, Future[bytes]]] = deque()
        for record in shard:
            waiting.append((record, self._pool.submit(record.load)))
            if len(waiting) == self._window:
                yield waiting.popleft()
        yield from waiting

    def _decode(self, record: Record, reading: Future[bytes]) -> tuple[int, Future[Picture]]:
        """Start to decode once there is room; the bytes it holds, and the picture to be."""
        size, data, reason = _LEAST, None, None
        try:
            data = reading.result()
            size = max(len(data) + 3 * pixel_count(data), _LEAST)
        except (LionError, OSError) as error:
            reason = str(error)
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or not self._held or self._held + size <= self._ahead)
            self._held += size
            return size, Future() if self._stopped else self._pool.submit(_picture, record.key, data, reason)


def _picture(key: str, data: bytes | None, reason: str | None) -> Picture:
    """A decoded picture, unless a reason is known why it cannot be."""
    digest = None if data is None else hashlib.sha256(data).hexdigest()
    if data is None or reason is not None:
        return Picture(key, digest, None, reason)
    try:
        return Picture(key, digest, Look.open(data))
    except (LionError, OSError) as error:
        return Picture(key, digest, None, str(error))
