"""Print the worst parity error of each group of golden tensors as a Markdown table: ``python -m tests.parity.measure``.

The table stands in ``docs/explanation/numerics_released.md``; the tests hold the same numbers under their bounds.
"""

from collections import defaultdict

import torch

from tests.parity import test_lion as parity
from tests.parity.released import LEVELS, batch, model, tensors

GROUPS = {
    "vit.": "Vision Encoder, embeddings and taps",
    "agg.": "Vision Aggregator, its LayerNorm and the MLP",
    "qf.": "Q-Former, layers and projection",
    "enc.": "encoder input",
    ".enc.block0.adapter": "adapters and their mixture",
    ".enc.": "encoder blocks and output",
    ".dec.": "decoder blocks and output",
    ".logits": "logits",
    ".loss": "loss",
    ".nll": "loss of each sample",
}


def group_of(name: str) -> str:
    """The row of a golden tensor."""
    if name.startswith(tuple(LEVELS)):
        return next(title for part, title in GROUPS.items() if part.startswith(".") and part in f".{name}")
    return next(title for part, title in GROUPS.items() if name.startswith(part))


def variant_errors() -> dict[str, float]:
    """Worst error of the logits of each variant."""
    worst = {}
    for variant, inputs, level in (
        ("qformer", "qformer", "image_level"),
        ("aggregator", "aggregator", "region_level"),
        ("notags", "both", "region_level"),
        ("notags", "both", "image_level"),
    ):
        with torch.no_grad():
            logits = model(inputs)(**batch(level, tags=variant != "notags")).logits
        golden = tensors("outputs")[f"{variant}.{level}.logits"]
        worst[f"variant {variant}, logits"] = max(
            worst.get(f"variant {variant}, logits", 0.0), parity.relative_error(logits, golden)
        )
    return worst


def main() -> None:
    worst: dict[str, float] = defaultdict(float, dict.fromkeys(GROUPS.values(), 0.0))
    for name in parity.TRACED:
        golden = tensors("outputs")[name]
        level = name.split(".")[0] if name.startswith(parity.LEVEL_NAMES) else "region_level"
        if golden.dtype.is_floating_point:
            title = group_of(name)
            worst[title] = max(worst[title], parity.relative_error(parity.trace(level)[name], golden))
    for name in parity.GRADIENTS:
        level, _, key = name.split(".", 2)
        golden = tensors("outputs")[name]
        if golden.abs().max() > 0:
            error = parity.relative_error(parity.gradient(level, key), golden)
            worst["gradients"] = max(worst["gradients"], error)
    worst |= variant_errors()
    print("| what | worst error, share of the largest value | bound |")
    print("| --- | --- | --- |")
    for title, error in worst.items():
        print(
            f"| {title} | {error:.1e} | {parity.GRADIENT_BOUND if title == 'gradients' else parity.TENSOR_BOUND:.0e} |"
        )


if __name__ == "__main__":
    main()
