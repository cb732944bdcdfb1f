"""The three stages of training: tasks, visual tokens, and what trains."""

from docs.figures.svg import LINE, MARGIN, WIDTH, Figure
from lion.model.configuration_lion import LionConfig
from lion.model.mixture_of_adapters import level_of
from lion.model.modeling_lion import UNREAD
from lion.train.stages import STAGES, Stage

ROWS = {
    "vision_encoder": ("Vision Encoder", ""),
    "language_model": ("language model", ""),
    "qformer": ("Q-Former", "image"),
    "image_adapter": ("image adapter", "image"),
    "vision_aggregator": ("Vision Aggregator", "region"),
    "mlp": ("MLP", "region"),
    "region_adapter": ("region adapter", "region"),
    "router": ("router", "both"),
    "tag_soft_prompt": ("tag soft prompt", "both"),
}
"""Components with the name they are shown by, and the kind of box they train in."""


def state(component: str, stage: Stage) -> str:
    """What a component does in a stage, by the code's own tables."""
    if component in stage.trainable:
        return "trains"
    assert stage.visual_inputs
    if component in UNREAD[stage.visual_inputs]:
        return "not read"
    if component.endswith("_adapter") and component.removesuffix("_adapter") not in levels(stage):
        return "gate 0"
    return "frozen"


def levels(stage: Stage) -> set[str]:
    """Task levels that a stage trains at."""
    return {level_of(task).name.lower() for task in stage.tasks}


def draw() -> Figure:
    """A table, a column for each stage."""
    config = LionConfig.flan_t5_xl()
    side = config.vision_config.image_size // config.vision_config.patch_size
    queries, patches = str(config.num_query_tokens), str(side**2 + 1)
    tokens = {"qformer": queries, "aggregator": patches, "both": f"{queries} + {patches}"}
    figure = Figure(
        618,
        "Stage-wise instruction tuning",
        "Stage 1 trains Q-Former and image adapter on image-level tasks; stage 2 aggregator, MLP and region adapter on "
        "region-level tasks; stage 3 all of them and the router on both. The soft prompt trains in each. Vision "
        "Encoder and language model stay frozen.",
    )
    column, gap, high = 122, 8, 36
    places = [WIDTH - MARGIN - column - (column + gap) * back for back in (2, 1, 0)]
    for number, (x, middle) in enumerate(((x, x + column / 2) for x in places), start=1):
        stage = STAGES[f"stage{number}"]
        figure.text(middle, 46, f"stage {number}", "b", anchor="middle", room=column)
        shown = sorted(stage.tasks) if len(stage.tasks) < 5 else ["all five"]
        for line, task in enumerate(shown):
            figure.text(middle, 46 + (line + 1) * LINE, task, "soft", anchor="middle", room=column)
        figure.text(middle, 158, tokens[str(stage.visual_inputs)], anchor="middle", room=column)
        for row, (component, (_, kind)) in enumerate(ROWS.items()):
            y, found = 180 + row * (high + 6), state(component, stage)
            if found in ("trains", "frozen"):
                figure.rectangle(x, y, column, high, kind if found == "trains" else "frozen")
            look = "b" if found == "trains" else "soft"
            figure.text(middle, y + high / 2 + 6, found, look, anchor="middle", room=column)
    figure.text(MARGIN, 70, "tasks", "soft")
    figure.text(MARGIN, 158, "visual tokens", "soft")
    for row, (name, _) in enumerate(ROWS.values()):
        figure.text(MARGIN, 180 + row * (high + 6) + high / 2 + 6, name, room=places[0] - MARGIN)
    figure.key(590, ("image", "image level"), ("region", "region level"), ("both", "both levels"))
    return figure
