"""An :class:`~lion.pipeline.explain.Explanation` as one picture: the answer, two heat maps, the router's gates."""

import io
from importlib.util import find_spec
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from PIL import Image

from lion.atomic import atomic_write
from lion.errors import LionError
from lion.model.mixture_of_adapters import TaskLevel
from lion.pipeline.drawing import annotate
from lion.pipeline.explain import ADAPTERS, AttentionMap, Explanation

FORMATS = (".png", ".svg", ".pdf")
_COLOURS = {"image": "#0072b2", "region": "#d55e00"}
"""Blue and vermilion, which people with any colour vision tell apart; the lines differ in marks, too."""
_MARKS = {"image": "o-", "region": "s--"}
_INK = "#222222"
_SIDE = 384
"""Pixels of the panels' longer side, at most, so that letters on a box are legible."""


def check_explanation_plot(path: str | Path) -> None:
    """Raise LionError where no explanation could be saved under that name."""
    if find_spec("matplotlib") is None:
        raise LionError("a plot of an explanation needs matplotlib: pip install 'lion-vlm[plot]'")
    if Path(path).suffix.lower() not in FORMATS:
        raise LionError(f"cannot save '{path}': the name must end in {', '.join(FORMATS)}")


def save_explanation(explanation: Explanation, path: str | Path) -> None:
    """Draw an explanation and write it atomically.

    Heat maps show how many times the share of an even look each patch got: 1 is what all would have if none stood out.
    Percentages say how much of the decoder's reading went to a part's tokens.

    Raises: LionError without matplotlib, if the format is none of FORMATS, or the place cannot be written.
    """
    check_explanation_plot(path)
    from matplotlib.figure import Figure

    answer = explanation.answer
    small = explanation.image.copy()
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    figure = Figure(figsize=(13, 4.6), layout="constrained", facecolor="white")
    axes = figure.subplots(1, 4, width_ratios=(1, 1, 1, 1.25))
    read = explanation.read
    axes[0].imshow(annotate(small, answer.boxes))
    axes[0].set_title(f"picture\n{read['text']:.0%} of what was read are words", fontsize=11, color=_INK)
    grey = np.asarray(small.convert("L"))
    _heat(axes[1], grey, explanation.aggregator, f"Vision Aggregator\n{read['aggregator']:.0%} of what was read")
    _heat(axes[2], grey, explanation.qformer, f"Q-Former\n{read['qformer']:.0%} of what was read")
    for panel in axes[:3]:
        panel.set_axis_off()
    _gates(figure, axes[3], explanation)
    asked = answer.question or answer.task.value
    said = answer.text if answer.ok else f"{answer.text} ({answer.reason})".strip()
    plain: dict[str, Any] = {"color": _INK, "parse_math": False}
    figure.suptitle(fill(f"{asked}  →  {said}", 110), fontsize=14, fontweight="bold", **plain)
    tags = fill(f"tags given: {', '.join(answer.tags) or 'none'}   ·   model: {Path(answer.model).name}", 170)
    figure.supxlabel(tags, fontsize=10, **plain)
    picture = io.BytesIO()
    figure.savefig(picture, format=Path(path).suffix[1:].lower(), dpi=120)
    try:
        atomic_write(Path(path), picture.getvalue())
    except OSError as error:
        raise LionError(f"cannot save '{path}': {error.strerror or error}; name another place") from error


def _heat(axes: Any, grey: np.ndarray, attention: AttentionMap | None, title: str) -> None:
    """The picture in grey under the shares of its patches, as multiples of an even look."""
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255)
    if attention is None:
        axes.set_title(f"{title}\nnot part of this model", fontsize=11, color=_INK)
        return
    height, width = grey.shape
    times = attention.patches * (attention.patches.size + 1)
    heat = axes.imshow(times, cmap="inferno", alpha=0.62, extent=(0, width, height, 0), interpolation="bilinear")
    axes.set_title(title, fontsize=11, color=_INK)
    bar = axes.figure.colorbar(heat, ax=axes, orientation="horizontal", fraction=0.05, pad=0.02)
    bar.set_label(f"times an even look ({attention.cls:.0%} went to CLS)", fontsize=9, color=_INK)
    bar.ax.tick_params(labelsize=9)


def _gates(figure: Any, axes: Any, explanation: Explanation) -> None:
    """A panel a level: how much each adapter counts, block by block."""
    axes.set_axis_off()
    gates, place = explanation.gates, axes.get_subplotspec()
    panels = place.subgridspec(2, 1).subplots(sharex=True, sharey=True)
    blocks = np.arange(len(gates.blocks))
    for panel, level in zip(panels, (TaskLevel.IMAGE, TaskLevel.REGION), strict=True):
        for k, adapter in reversed(list(enumerate(ADAPTERS))):
            colour = _COLOURS[adapter]
            panel.fill_between(blocks, gates.low[:, level, k], gates.high[:, level, k], color=colour, alpha=0.18, lw=0)
            mean = gates.mean[:, level, k]
            panel.plot(blocks, mean, _MARKS[adapter], color=colour, ms=4, lw=1.6, label=f"{adapter} adapter")
        name = f"gates at {level.name.lower()} level"
        here = level is explanation.level
        panel.set_title(name + ", used here" * here, fontsize=11, fontweight="bold" if here else "normal", color=_INK)
        panel.grid(axis="y", color="#dddddd", lw=0.8)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=9)
    panels[0].legend(fontsize=9, frameon=False, loc="best")
    step = -(-len(blocks) // 12)
    shown = [name.replace("encoder ", "E").replace("decoder ", "D") for name in gates.blocks]
    panels[1].set_xticks(blocks[::step], shown[::step])
    panels[1].set_xlabel("block of the language model (E encoder, D decoder)", fontsize=9, color=_INK)
