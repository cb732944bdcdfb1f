"""What led to an answer, :class:`Explanation`, and its plot: the answer, two heat maps, the router's gates.

L task levels, K adapters, D model width.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from PIL import Image

from lion.atomic import atomic_write
from lion.errors import LionError
from lion.figures import INK, LEVELS, PALE, check_format, check_matplotlib
from lion.model.mixture_of_adapters import TaskLevel
from lion.pipeline.drawing import annotate, preview
from lion.pipeline.read import Answer

ADAPTERS = ("region", "image")
"""In the order of the router's K, named as the levels that they were trained at."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AttentionMap:
    """How cross-attention to the picture is shared out; ``patches`` and ``cls`` add up to 1."""

    patches: np.ndarray
    """(rows, columns) float32: the share of each patch, which together cover the picture."""
    cls: float
    """The share of the Vision Encoder's CLS token, which stands for no place."""

    def __repr__(self) -> str:
        rows, columns = self.patches.shape
        return f"AttentionMap({rows} x {columns} patches, {self.cls:.0%} to CLS)"

    def to_json(self) -> dict[str, Any]:
        """``patches``, rows from the top, to 6 decimals, and ``cls``."""
        rows = [[round(share, 6) for share in row] for row in self.patches.tolist()]
        return {"patches": rows, "cls": round(self.cls, 6)}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Gates:
    """The router's gates of every block of the language model, each D channels."""

    blocks: tuple[str, ...]
    """``encoder 1``, ... ``decoder 1``, ...: the blocks, in the order in which an answer passes them."""
    mean: np.ndarray
    """(blocks, L, K) float32: the mean over channels, for level l of :class:`TaskLevel` and adapter k of ADAPTERS."""
    low: np.ndarray
    high: np.ndarray
    """The same shape: the channels' 10th and 90th percentile."""

    def __repr__(self) -> str:
        return f"Gates({len(self.blocks)} blocks)"

    def to_json(self) -> dict[str, Any]:
        """``blocks``, and by level and adapter the ``mean``, ``low`` and ``high`` of each block, to 4 decimals."""
        statistics = {"mean": self.mean, "low": self.low, "high": self.high}
        levels = {
            level.name.lower(): {
                adapter: {name: _rounded(values[:, level, k]) for name, values in statistics.items()}
                for k, adapter in enumerate(ADAPTERS)
            }
            for level in TaskLevel
        }
        return {"blocks": list(self.blocks), **levels}


def _rounded(values: np.ndarray) -> list[float]:
    return [round(value, 4) for value in values.tolist()]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Explanation:
    """An answer, and what led to it."""

    answer: Answer
    image: Image.Image
    """The picture, RGB."""
    level: TaskLevel
    """The task level at which it was answered."""
    read: Mapping[str, float]
    """What the answer was read from: the shares of ``qformer``, ``aggregator`` and ``text`` (tags and instruction) in
    the decoder's cross-attention, mean over its blocks, heads and the answer's tokens; they add up to 1."""
    aggregator: AttentionMap | None
    """Where the aggregator's tokens come from: mean over its blocks and heads of the weights with which cross-attention
    reads the shallower taps. A token counts by how much of it was read, as in ``read``, so the map differs from answer
    to answer, though the tokens do not. None where ``visual_inputs`` leaves the part out."""
    qformer: AttentionMap | None
    """The same of the Q-Former: mean over its layers that cross-attend, and their heads, of the weights with which the
    queries read the deepest tap; a query counts by how much of it was read."""
    gates: Gates

    def __repr__(self) -> str:
        read = ", ".join(f"{share:.0%} {part}" for part, share in self.read.items())
        return f"Explanation({self.answer!r}, read from {read})"

    def to_json(self) -> dict[str, Any]:
        """Keys ``level``, ``read``, ``aggregator``, ``qformer`` and ``gates``; the answer has its own."""
        return {
            "level": self.level.name.lower(),
            "read": {part: round(share, 6) for part, share in self.read.items()},
            "aggregator": self.aggregator and self.aggregator.to_json(),
            "qformer": self.qformer and self.qformer.to_json(),
            "gates": self.gates.to_json(),
        }

    def _repr_png_(self) -> bytes:
        """What a notebook shows: the plot, or without matplotlib the picture with the answer."""
        if find_spec("matplotlib") is None:
            return preview(self.image, self.answer.boxes, "" if self.answer.boxes else self.answer.text)
        return _plot(self, "png")


_MARKS = {"image": "o-", "region": "s--"}
_SIDE = 384
"""Pixels of the panels' longer side, at most, so that letters on a box are legible."""


def check_explanation_plot(path: str | Path) -> None:
    """Raise LionError where no explanation could be saved under that name."""
    check_matplotlib("a plot of an explanation needs")
    check_format(path, f"cannot save '{path}'")


def save_explanation(explanation: Explanation, path: str | Path) -> None:
    """Draw an explanation and write it atomically.

    Heat maps show how many times the share of an even look each patch got: 1 is what all would have if none stood out.
    Percentages say how much of the decoder's reading went to a part's tokens.

    Raises: LionError without matplotlib, if the format is none of :data:`lion.figures.FORMATS`, or the place cannot be
        written.
    """
    check_explanation_plot(path)
    try:
        atomic_write(Path(path), _plot(explanation, Path(path).suffix[1:].lower()))
    except OSError as error:
        raise LionError(f"cannot save '{path}': {error.strerror or error}; name another place") from error


def _plot(explanation: Explanation, kind: str) -> bytes:
    """The plot as a file's bytes."""
    from matplotlib.figure import Figure

    answer = explanation.answer
    small = explanation.image.copy()
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    figure = Figure(figsize=(13, 4.6), layout="constrained", facecolor="white")
    axes = figure.subplots(1, 4, width_ratios=(1, 1, 1, 1.25))
    read = explanation.read
    axes[0].imshow(annotate(small, answer.boxes))
    axes[0].set_title(f"picture\n{read['text']:.0%} of what was read are words", fontsize=11, color=INK)
    grey = np.asarray(small.convert("L"))
    _heat(axes[1], grey, explanation.aggregator, f"Vision Aggregator\n{read['aggregator']:.0%} of what was read")
    _heat(axes[2], grey, explanation.qformer, f"Q-Former\n{read['qformer']:.0%} of what was read")
    for panel in axes[:3]:
        panel.set_axis_off()
    _gates(figure, axes[3], explanation)
    question = answer.question or answer.task.value
    text = answer.text if answer.ok else f"{answer.text} ({answer.reason})".strip()
    plain: dict[str, Any] = {"color": INK, "parse_math": False}
    figure.suptitle(fill(f"{question}  →  {text}", 110), fontsize=14, fontweight="bold", **plain)
    tags = fill(f"tags given: {', '.join(answer.tags) or 'none'}   ·   model: {Path(answer.model).name}", 170)
    figure.supxlabel(tags, fontsize=10, **plain)
    picture = io.BytesIO()
    figure.savefig(picture, format=kind, dpi=120)
    return picture.getvalue()


def _heat(axes: Any, grey: np.ndarray, attention: AttentionMap | None, title: str) -> None:
    """The picture in grey under the shares of its patches, as multiples of an even look."""
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255)
    if attention is None:
        axes.set_title(f"{title}\nnot part of this model", fontsize=11, color=INK)
        return
    height, width = grey.shape
    times = attention.patches * (attention.patches.size + 1)
    heat = axes.imshow(times, cmap="inferno", alpha=0.62, extent=(0, width, height, 0), interpolation="bilinear")
    axes.set_title(title, fontsize=11, color=INK)
    bar = axes.figure.colorbar(heat, ax=axes, orientation="horizontal", fraction=0.05, pad=0.02)
    bar.set_label(f"times an even look ({attention.cls:.0%} went to CLS)", fontsize=9, color=INK)
    bar.ax.tick_params(labelsize=9)


def _gates(figure: Any, axes: Any, explanation: Explanation) -> None:
    """A panel a level: how much each adapter counts, block by block."""
    axes.set_axis_off()
    gates, place = explanation.gates, axes.get_subplotspec()
    panels = place.subgridspec(2, 1).subplots(sharex=True, sharey=True)
    blocks = np.arange(len(gates.blocks))
    for panel, level in zip(panels, (TaskLevel.IMAGE, TaskLevel.REGION), strict=True):
        for k, adapter in reversed(list(enumerate(ADAPTERS))):
            colour = LEVELS[adapter]
            panel.fill_between(blocks, gates.low[:, level, k], gates.high[:, level, k], color=colour, alpha=0.18, lw=0)
            mean = gates.mean[:, level, k]
            panel.plot(blocks, mean, _MARKS[adapter], color=colour, ms=4, lw=1.6, label=f"{adapter} adapter")
        name = f"gates at {level.name.lower()} level"
        here = level is explanation.level
        panel.set_title(name + ", used here" * here, fontsize=11, fontweight="bold" if here else "normal", color=INK)
        panel.grid(axis="y", color=PALE, lw=0.8)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=9)
    panels[0].legend(fontsize=9, frameon=False, loc="best")
    step = -(-len(blocks) // 12)
    shown = [name.replace("encoder ", "E").replace("decoder ", "D") for name in gates.blocks]
    panels[1].set_xticks(blocks[::step], shown[::step])
    panels[1].set_xlabel("block of the language model (E encoder, D decoder)", fontsize=9, color=INK)
