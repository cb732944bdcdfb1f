"""The prompt that the language model reads, with its soft token."""

from docs.figures.svg import MARGIN, WIDTH, Figure, width
from lion.model.configuration_lion import LionConfig
from lion.prompts import INSTRUCTIONS, SOFT_TOKEN, TAG_PROMPT, Task

TAGS = ("apple", "bird", "cat", "flower", "kite")
"""Given for examples/scene.png, where there is no apple."""
QUESTION = "is there an apple?"
_ROW = 40


def draw() -> Figure:
    """Words, each kind in its own look, below the visual tokens."""
    config = LionConfig.flan_t5_xl()
    side = config.vision_config.image_size // config.vision_config.patch_size
    figure = Figure(
        524,
        "The prompt and its soft token",
        "Before the words stand the tokens of the Q-Former and of the Vision Aggregator. The words are the tag prompt, "
        "with one token whose embedding is learnt and the tags, and the instruction, which the Q-Former reads "
        "too. One tag, apple, is wrong; asked, the model says no.",
    )
    half = (WIDTH - 2 * MARGIN - 16) / 2
    figure.box(MARGIN, 24, half, 68, "image", f"Q: {config.num_query_tokens} tokens", "of the Q-Former")
    figure.box(MARGIN + half + 16, 24, half, 68, "region", f"P: {side**2 + 1} tokens", "of aggregator and MLP")
    bottom = _words(figure, 132)

    y = bottom + 52
    for kind, first, second in (
        ("both", "one learnt vector", f"of {config.text_config.d_model} numbers: how far to trust the tags"),
        ("frozen", "the tags", "of which some may be wrong: here, apple"),
        ("image", "the instruction", "which the Q-Former reads, without the tags"),
    ):
        figure.rectangle(MARGIN, y - 15, 24, 18, kind)
        figure.text(MARGIN + 38, y, first, "b")
        figure.text(MARGIN + 38, y + 23, second, "soft")
        y += 60
    figure.text(MARGIN, y + 10, "answer:", "soft")
    figure.text(MARGIN + 76, y + 10, "no", "b")
    return figure


def _words(figure: Figure, y: float) -> float:
    """Lay the prompt's words out in lines, a ground under those of a kind; returns where the last line is."""
    before, after = TAG_PROMPT.split("{tags}")
    pieces = [(word, "both" if word.startswith(SOFT_TOKEN) else "") for word in before.split()]
    pieces += [(tag + "," * (tag != TAGS[-1]), "frozen") for tag in TAGS] + [(word, "") for word in after.split()]
    pieces += [(word, "image") for word in INSTRUCTIONS[Task.VQA][0].format(question=QUESTION).split()]
    grounds: list[tuple[str, float, float, float]] = []
    words: list[tuple[float, str, str, float]] = []
    x: float = MARGIN
    for word, kind in pieces:
        shown = word.replace(SOFT_TOKEN, "soft token")
        wide = width(shown, kind == "both")
        after_same = grounds and grounds[-1][0] == kind and grounds[-1][1] == y
        x += 0 if after_same or not grounds else 9
        if x + wide > WIDTH - MARGIN:
            x, y, after_same = MARGIN + 7 * bool(kind), y + _ROW, False
        start = grounds.pop()[2] if after_same else x
        grounds.append((kind, y, start, x + wide))
        words.append((x, shown, kind, y))
        x += wide + 6
    for kind, line, start, end in grounds:
        if kind:
            figure.rectangle(start - 7, line - 21, end - start + 14, 30, kind)
    for place, shown, kind, line in words:
        figure.text(place, line, shown, "b" if kind == "both" else "")
    return y
