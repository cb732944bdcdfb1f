"""A cache of pictures at the model's size in memory-mapped files.

Drawing and resizing a scene takes milliseconds and training reads each dozens of times, so each pool of pictures is a
folder of blocks, uint8 (BLOCK, S, S, 3), below $LION_CACHE or ~/.cache/lion. Blocks are written atomically: a killed
run resumes at the next block, and runs with fewer or more pictures share them.
"""

import io
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np

from lion.atomic import atomic_write, check_writable
from lion.errors import LionError

BLOCK = 512
"""Pictures a file."""

OnProgress = Callable[[str, int, int], None]
"""Called with a task, how much of it is done, and how much it is in all."""
Draw = Callable[[int], np.ndarray]
"""Number of a picture to uint8 (S, S, 3); picklable."""


def cache_folder() -> Path:
    """The folder of caches: $LION_CACHE, else ~/.cache/lion."""
    return Path(os.path.expanduser(os.environ.get("LION_CACHE") or "~/.cache/lion"))


def writable_cache() -> Path:
    """The folder of caches, before something is written there. Raises: LionError that names it if nothing can be."""
    folder = cache_folder()
    try:
        check_writable(folder / "new")
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}"
        raise LionError(f"cannot write the cache {folder}: {reason}; set LION_CACHE to another folder") from error
    return folder


class Pictures:
    """The first `count` pictures of a pool.

    Args:
        key: name of the pool's folder; must differ where pixels differ.
        count: number of pictures.
        draw: makes a picture that is not in the cache.
    """

    def __init__(self, key: str, count: int, draw: Draw) -> None:
        self.folder, self.count, self._draw = cache_folder() / "pictures" / key, count, draw
        self._blocks: dict[int, np.ndarray] = {}

    def __getitem__(self, number: int) -> np.ndarray:
        """Picture `number`, read-only uint8 (S, S, 3); drawn now if it is not in the cache."""
        block = self._blocks.get(number // BLOCK)
        if block is None:
            path = self._path(number // BLOCK)
            if not path.is_file():
                return self._draw(number)
            block = self._blocks[number // BLOCK] = np.load(path, mmap_mode="r")
        return block[number % BLOCK]

    def __getstate__(self) -> dict[str, object]:
        """Worker processes map the files themselves."""
        return {**self.__dict__, "_blocks": {}}

    def prepare(self, report: OnProgress | None = None) -> None:
        """Draw the blocks that are missing, on all CPU cores; `report` is called after each.

        Raises: LionError if they cannot be written.
        """
        missing = [b for b in range(-(-self.count // BLOCK)) if not self._path(b).is_file()]
        if missing:
            writable_cache()
        for done, _ in enumerate(self._blocks_drawn(missing), start=1):
            if report:
                report("drawing pictures", done * BLOCK, len(missing) * BLOCK)

    def _blocks_drawn(self, missing: Sequence[int]) -> Iterator[int]:
        """Draw these blocks, and give the number of each once it is written."""
        processes = min(len(missing), os.cpu_count() or 1)
        if processes <= 1:
            for block in missing:
                yield _write_block(self._path(block), block, self._draw)
            return
        with ProcessPoolExecutor(processes, multiprocessing.get_context()) as pool:
            jobs = [pool.submit(_write_block, self._path(block), block, self._draw) for block in missing]
            try:
                for job in as_completed(jobs):
                    yield job.result()
            finally:  # where one fails, or all are stopped, the others are not waited for
                pool.shutdown(wait=False, cancel_futures=True)

    def _path(self, block: int) -> Path:
        return self.folder / f"{block:05d}.npy"


def _write_block(path: Path, block: int, draw: Draw) -> int:
    pictures = np.stack([draw(number) for number in range(block * BLOCK, (block + 1) * BLOCK)])
    buffer = io.BytesIO()
    np.save(buffer, pictures)
    atomic_write(path, buffer.getvalue())
    return block
