"""The path from a picture to an answer, with shapes."""

from docs.figures.svg import MARGIN, WIDTH, Figure
from lion.boxes import Box, format_box
from lion.model.configuration_lion import LionConfig
from lion.tagging.vocabulary import Vocabulary


def draw() -> Figure:
    """The released size with FLAN-T5-XL; every number is its configuration's."""
    config = LionConfig.flan_t5_xl()
    vision, text = config.vision_config, config.text_config
    side, queries, wide = vision.image_size, config.num_query_tokens, text.d_model
    patches = (side // vision.patch_size) ** 2 + 1
    first, *others = config.taps
    figure = Figure(
        826,
        "From picture to answer",
        "The frozen Vision Encoder's last block feeds the Q-Former, which also reads the instruction; three of its "
        "blocks feed the Vision Aggregator and MLP. Their tokens and those of the prompt, tags included, enter the "
        "frozen language model with its Mixture-of-Adapters, which writes the answer.",
    )
    left, middle, right, column = MARGIN, 228, 432, 184
    centre = [x + column / 2 for x in (left, middle, right)]
    full = WIDTH - 2 * MARGIN

    figure.box(left, 24, 132, 60, "plain", "instruction")
    figure.box(176, 24, WIDTH - MARGIN - 176, 60, "plain", "picture", f"(B, 3, {side}, {side})")
    figure.arrow((64, 84), (64, 288))
    figure.arrow((centre[1] - 24, 84), (centre[1] - 24, 122))
    figure.arrow((centre[2], 84), (centre[2], 122))

    encoder = f"EVA ViT-g/{vision.patch_size}, {vision.num_hidden_layers} blocks"
    figure.box(104, 122, 308, 92, "frozen", "Vision Encoder", encoder, f"each (B, {patches}, {vision.hidden_size})")
    figure.box(
        right, 122, column, 92, "frozen", "RAM tagger", "Swin-L, 384 px", f"{len(Vocabulary.released().names):,} tags"
    )
    figure.arrow((148, 214), (148, 288))
    figure.text(158, 256, f"V{first}", "soft")
    figure.arrow((centre[1], 214), (centre[1], 288))
    figure.text(centre[1] + 10, 256, ", ".join(f"V{tap}" for tap in config.taps), "soft")
    figure.arrow((centre[2], 214), (centre[2], 288))
    figure.text(centre[2] + 10, 256, "“cat, kite”", "soft")

    figure.box(left, 288, column, 92, "image", "Q-Former", f"{queries} queries", "Linear to " + str(wide))
    figure.box(middle, 288, column, 92, "region", "Aggregator", f"{len(others)} blocks", "MLP to " + str(wide))
    figure.box(right, 288, column, 92, "both", "prompt", "tags, instruction", "one soft token")
    for x in centre:
        figure.arrow((x, 380), (x, 420))

    for x, kind, name, many in (
        (left, "image", "Q", str(queries)),
        (middle, "region", "P", str(patches)),
        (right, "both", "T", "T"),
    ):
        figure.box(x, 420, column, 44, kind, f"{many} tokens" + f", {name}" * (name != many))
    figure.text(WIDTH / 2, 492, f"[Q | P | T]   (B, {queries} + {patches} + T, {wide})", "soft", anchor="middle")
    figure.arrow((WIDTH / 2, 504), (WIDTH / 2, 536))

    figure.rectangle(left, 536, full, 124, "frozen")
    figure.text(left + 16, 566, "FLAN-T5-XL", "b")
    figure.text(left + 16, 590, f"{text.num_layers} + {text.num_decoder_layers} blocks", "soft")
    figure.text(left + 16, 632, "beside each feed-forward:", "soft")
    figure.box(272, 550, 160, 44, "image", "image adapter")
    figure.box(440, 550, 164, 44, "region", "region adapter")
    figure.box(272, 604, 332, 44, "both", "router, by task level")

    figure.arrow((WIDTH / 2, 660), (WIDTH / 2, 692))
    box = format_box(Box(0.1, 0.15, 0.48, 0.48))
    figure.box(left, 692, full, 60, "plain", "answer: words; a box is words, too", box)
    figure.key(788, ("frozen", "frozen"), ("image", "image level"), ("region", "region level"), ("both", "both levels"))
    return figure
