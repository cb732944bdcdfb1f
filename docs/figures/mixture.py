"""The Mixture-of-Adapters beside a feed-forward, and its router."""

from docs.figures.svg import LINE, MARGIN, WIDTH, Figure
from lion.model.configuration_lion import LionConfig
from lion.model.mixture_of_adapters import Router, TaskLevel, level_of
from lion.prompts import Task


def draw() -> Figure:
    """Shapes as with FLAN-T5-XL; the table holds the gates as training begins."""
    config = LionConfig.flan_t5_xl()
    wide, narrow, inner = config.text_config.d_model, config.adapter_bottleneck, config.text_config.d_ff
    figure = Figure(
        716,
        "Mixture-of-Adapters and its router",
        "Beside each frozen feed-forward stand an image adapter and a region adapter. What each adds is multiplied, "
        "channel by channel, with a learnt gate of the row's task level. As training begins the gate of the level's "
        "own adapter is 1, the other 0.",
    )
    column, middle = 184, WIDTH / 2
    places = [MARGIN, middle - column / 2, WIDTH - MARGIN - column]
    centre = [x + column / 2 for x in places]

    figure.box(MARGIN, 24, WIDTH - 2 * MARGIN, 44, "plain", f"h   (B, T, {wide}), after attention")
    for x in centre:
        figure.arrow((x, 68), (x, 112))
    figure.box(places[0], 112, column, 116, "frozen", "feed-forward", "LayerNorm", f"{wide} → {inner}", f"→ {wide}")
    for x, level in zip(places[1:], ("image", "region"), strict=True):
        lines = (f"W_d: {wide} → {narrow}", "ReLU", f"W_u: {narrow} → {wide}, · s")
        figure.box(x, 112, column, 116, level, f"{level} adapter", *lines)
    for x, place, level in zip(centre[1:], places[1:], ("image", "region"), strict=True):
        figure.arrow((x, 228), (x, 262))
        figure.box(place, 262, column, 68, "both", f"· G[t, {level}]", f"{wide} channels")
        figure.arrow((x, 330), (x, 374))
    figure.arrow((centre[0], 228), (centre[0], 374))
    figure.box(MARGIN, 374, WIDTH - 2 * MARGIN, 44, "plain", f"sum, with h   (B, T, {wide})")

    figure.text(MARGIN, 470, "Router", "b")
    figure.text(MARGIN + 72, 470, f"G   (2, 2, {wide}), learnt in stage 3; it starts as", "soft")
    gates = Router.initial_gates(1)
    left, cell = 300, 152
    for column_, adapter in enumerate(("image", "region")):
        figure.text(left + column_ * (cell + 12) + cell / 2, 506, f"{adapter} adapter", "soft", anchor="middle")
    for row, name in enumerate(("image", "region")):
        y = 524 + row * 66
        tasks = ", ".join(task for task in Task if level_of(task).name.lower() == name)
        figure.text(MARGIN, y + 24, f"t = {name}", "b")
        figure.text(MARGIN, y + 24 + LINE, tasks, "soft", room=left - MARGIN)
        for place, adapter in enumerate(("image", "region")):
            gate = gates[TaskLevel[name.upper()], TaskLevel[adapter.upper()], 0].item()
            x = left + place * (cell + 12)
            figure.rectangle(x, y, cell, 54, adapter if gate else "frozen")
            figure.text(x + cell / 2, y + 33, f"{gate:g}", "b" if gate else "soft", anchor="middle")
    figure.text(MARGIN, 684, "t is an argument: each row of a batch has its own level.", "soft")
    return figure
