"""What is read off trained weights: how far the router tells the levels apart, and which words the soft token is like.

L task levels, K adapters, D language-model width.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn import functional

from lion.checkpoints.loading import load_processor
from lion.checkpoints.tensors import open_folder

_GATES = re.compile(r"language_model\.(encoder|decoder)\.block\.(\d+)\.mixture\.router\.gates")


def gate_distances(folders: Sequence[Path]) -> dict[str, list[float]]:
    """By layer of the language model (`encoder.0`), of each model: the mean distance |G_image - G_region| of a gate.

    Gates begin at 1 (own adapter) and 0 (the other's), a distance of 1; 0 is one set of gates for both levels.
    """
    found: dict[tuple[bool, int], list[float]] = {}
    for folder in folders:
        for name, stored in open_folder(folder).items():
            if place := _GATES.fullmatch(name):
                gates_LKD = stored.read()
                key = (place[1] == "decoder", int(place[2]))
                found.setdefault(key, []).append(float((gates_LKD[0] - gates_LKD[1]).abs().mean()))
    return {f"{'decoder' if later else 'encoder'}.{number}": found[later, number] for later, number in sorted(found)}


def like_the_soft_token(folder: Path, count: int = 5) -> list[tuple[str, float]]:
    """The words whose embeddings have the largest cosine with the soft token's vector, and that cosine."""
    tensors = open_folder(folder)
    vector, words_WD = tensors["tag_soft_prompt.vector"].read().float(), None
    for name in ("language_model.shared.weight", "language_model.encoder.embed_tokens.weight"):
        if words_WD is None and name in tensors:
            words_WD = tensors[name].read().float()
    assert words_WD is not None
    cosines_W = functional.cosine_similarity(words_WD, vector[None], dim=1)
    values, ids = torch.topk(cosines_W, count)
    tokenizer = load_processor(folder, str(folder)).tokenizer
    pieces = tokenizer.convert_ids_to_tokens(ids.tolist())
    return [(piece.lstrip("▁"), float(value)) for piece, value in zip(pieces, values, strict=True)]
