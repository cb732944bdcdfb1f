"""Results as a table for the terminal and as rows of JSON, with what they hold for."""

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Self

import torch

from lion.bench.limits import Limits
from lion.bench.peers import Comparison
from lion.bench.stages import Stage
from lion.bench.timing import Spread
from lion.pipeline import LionPipeline
from lion.provenance import commit, hardware, versions

Row = Limits | Stage | Comparison


@dataclass(frozen=True, slots=True)
class Setting:
    """What the numbers hold for."""

    model: str
    hardware: str
    instructions: str
    """The widest vector instructions of the CPU that torch uses."""
    threads: int
    dtype: str
    commit: str | None
    date: str
    versions: dict[str, str]

    @classmethod
    def of(cls, lion: LionPipeline) -> Self:
        """Of this process, now."""
        return cls(
            lion.name,
            hardware(lion.model.device),
            torch.backends.cpu.get_cpu_capability(),
            torch.get_num_threads(),
            str(lion.model.dtype).removeprefix("torch."),
            commit(),
            date.today().isoformat(),
            versions(),
        )

    def __str__(self) -> str:
        libraries = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        at = f"commit {self.commit[:7]}" if self.commit else "no commit"
        return f"{self.model} in {self.dtype} on {self.hardware}, {self.instructions}; {libraries}; {at}, {self.date}"


def to_json(row: Setting | Row) -> dict[str, Any]:
    """A row under the key ``kind``; rates and shares beside what they were computed from."""
    fields = {"kind": type(row).__name__.lower(), **asdict(row)}
    if isinstance(row, Stage):
        tokens = row.token_rate
        fields |= {
            "pictures_per_second": asdict(row.rate),
            "tokens_per_second": tokens and asdict(tokens),
            "share": row.share(row.limit),
            "own_share": row.share(row.own_limit),
        }
    return fields


_LIMIT = "{:<9} {:>15} {:>14}"
_STAGE = "{:<9} {:>5}  {:<24} {:>8}  {:>7} {:>9}  {:>8}"
_COMPARISON = "{:<34} {:>8} {:>6} {:>9} {:>9}  {}"

HEADS = {
    Limits: _LIMIT.format("threads", "matrix product", "memory read"),
    Stage: _STAGE.format("step", "batch", "pictures a second", "tokens/s", "of peak", "own sizes", "memory"),
    Comparison: _COMPARISON.format("LION beside its peer", "pictures", "beams", "LION", "peer", "LION is"),
}
"""The table's head for each kind of row."""

LEGEND = """\
pictures a second: median of the repeats (lowest - highest); look, tag, encode and decode are steps of an answer.
of peak: look and encode as a share of the machine's matrix product, decode of one row as a share of its memory read;
own sizes: the same against products, or a read, of the model's own sizes. memory: the largest in use meanwhile."""


def line(row: Row) -> str:
    """A row of the table."""
    if isinstance(row, Limits):
        return _LIMIT.format(row.threads, f"{row.square / 1e9:,.0f} GFLOP/s", f"{row.memory / 1e9:,.1f} GB/s")
    if isinstance(row, Stage):
        tokens = row.token_rate
        return _STAGE.format(
            row.what,
            row.batch,
            _spread(row.rate),
            f"{tokens.median:,.0f}" if tokens else "",
            _percent(row.share(row.limit)),
            _percent(row.share(row.own_limit)),
            f"{row.memory / 1e6:,.0f} MB",
        ).rstrip()
    seconds = [f"{side.median:.3g} s" for side in (row.ours, row.theirs)]
    same = {True: ", same tokens", False: ", OTHER TOKENS", None: ""}[row.same]
    speed = f"{_spread(row.speed)} times as fast{same}"
    return _COMPARISON.format(row.what, row.pictures, row.beams, *seconds, speed)


def _spread(value: Spread) -> str:
    return f"{_short(value.median)} ({_short(value.low)} - {_short(value.high)})"


def _short(number: float) -> str:
    """Three digits, or all before the point."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"
