"""Grounding heads: auxiliary classifiers on the language model's encoder during pretraining, dropped afterwards.

Trained on answers alone, a small T5 does not learn in thousands of steps which object an instruction refers to
(``docs/log.md``). So three heads give its encoder a direct signal:

* `referent`, for each object token: does the instruction refer to this object? Is it the anchor, the object that
  another is compared with?
* `relation`, for each object token of the referent: is it left of the anchor, is it above it, and is the relation in
  the question true?
* `role`, for each text token, after the first block: does this word name the referent (before the relation's word) or
  the anchor (behind it)?

B batch, M object tokens, T text tokens, D width.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from lion.prompts import Task
from lion.train.mini.curriculum import Example
from lion.world import CATEGORIES, COLOURS, SIZES, Scene
from lion.world.relations import MARGIN

_RELATION_WORDS = ("left", "right", "above", "below", "higher", "lower")
_RELATION_WEIGHT = 0.3
"""At 2, relations dominated the answers, which then fell behind in everything else (``docs/log.md``)."""
_OPPOSITES = (("left", "right"), ("above", "below"), ("yes", "no"))
"""The three outputs of the relation head: each is the logit of the first word against the second."""


class GroundingTargets:
    """Labels and masks of the heads; the tokenizer has a piece for each word of the drawn world."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.names = _ids(tokenizer, (*CATEGORIES, *COLOURS, *SIZES))
        self.relations = _ids(tokenizer, _RELATION_WORDS)
        self.bracket = tokenizer.convert_tokens_to_ids("]")

    def __call__(self, examples: Sequence[Example], input_ids_BT: Tensor) -> dict[str, Tensor]:
        """For each head `<head>_labels` and `<head>_mask`, 1 where the label is known.

        Returns: `referent_*` (B, M, 2: referent, anchor), `relation_*` (B, M, 3: :data:`_OPPOSITES`), `role_*`
            (B, T, 2: names the referent, names the anchor).
        """
        size, tokens = len(examples), max((len(example.tokens) for example in examples), default=0)
        shapes = {"referent": (size, tokens, 2), "relation": (size, tokens, 3), "role": (*input_ids_BT.shape, 2)}
        targets = {
            f"{head}_{kind}": torch.zeros(shape) for head, shape in shapes.items() for kind in ("labels", "mask")
        }
        for row, example in enumerate(examples):
            if "about" not in example.meta:
                continue  # a caption refers to all objects
            about, anchor = example.meta["about"], None
            if example.meta.get("kind") == "relation" and example.task != Task.REC:
                about, anchor = about[:1], about[1]
                if example.task == Task.VQA:  # a dialog's earlier rounds hold relation words, too
                    targets["role_labels"][row], targets["role_mask"][row] = self._roles(input_ids_BT[row].tolist())
            targets["referent_mask"][row, : len(example.tokens)] = 1
            for place, index in enumerate(token.object_index for token in example.tokens):
                if index is not None:
                    targets["referent_labels"][row, place] = torch.tensor([index in about, index == anchor])
                    if anchor is not None and index in about:
                        labels, mask = _relation(example.scene, index, anchor, example.answer)
                        targets["relation_labels"][row, place], targets["relation_mask"][row, place] = labels, mask
        return targets

    def _roles(self, ids: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Labels (T, 2) and mask of a question: names before the relation's word, names behind it.

        Names in tags and in a scene as text have neither role; both precede the question and end in a bracket.
        """
        labels, mask = torch.zeros(2, len(ids), 2)
        start = max((place for place, piece in enumerate(ids) if piece == self.bracket), default=0)
        relation = next((place for place, piece in enumerate(ids) if piece in self.relations), None)
        if relation is not None:
            for place, piece in enumerate(ids):
                if piece in self.names and place >= start:
                    labels[place], mask[place] = torch.tensor([place < relation, place > relation]), 1
        return labels, mask


def _relation(scene: Scene, referent: int, anchor: int, answer: str) -> tuple[Tensor, Tensor]:
    """Labels (3,) and mask: left of the anchor, above it (known beyond a margin), and whether the claim holds."""
    gaps = [a - b for a, b in zip(*(scene.objects[i].box.center for i in (referent, anchor)), strict=True)]
    known = [*(abs(gap) >= MARGIN for gap in gaps), answer in ("yes", "no")]
    return torch.tensor([*(gap < 0 for gap in gaps), answer == "yes"]).float(), torch.tensor(known).float()


class GroundingHeads(nn.Module):
    """The heads and their losses, with the language model's width and tokenizer."""

    opposites: Tensor

    def __init__(self, width: int, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self.symbols = nn.Linear(width, 2)  # the referent head; this and `words` are names in checkpoints
        self.words = nn.Linear(width, 2)  # the role head
        pairs = [[tokenizer.convert_tokens_to_ids(f"▁{word}") for word in pair] for pair in _OPPOSITES]
        self.register_buffer("opposites", torch.tensor(pairs))

    def losses(
        self, encoded_BMD: Tensor, first_BTD: Tensor, embedding: nn.Embedding, batch: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Mean cross entropies `thing` (referent), `anchor`, `side` (relation), `role`, of heads with a known label.

        The relation head has no weights: it compares with the language model's own word embeddings, so that relations
        are encoded as colours are.

        Args:
            encoded_BMD, first_BTD: the encoder's output at the object tokens, its first block's at the text.
            embedding: the language model's.
            batch: holds what :class:`GroundingTargets` made.
        """
        first, second = embedding(self.opposites).unbind(1)
        logits = {
            "referent": self.symbols(encoded_BMD),
            "relation": encoded_BMD @ (first - second).T * encoded_BMD.shape[-1] ** -0.5,
            "role": self.words(functional.layer_norm(first_BTD, first_BTD.shape[-1:])),
        }
        losses = {}
        for head, values in logits.items():
            if not batch[f"{head}_mask"].any():
                continue
            means_K = _mean_losses(values, batch[f"{head}_labels"], batch[f"{head}_mask"])
            if head == "referent":
                losses["thing"], losses["anchor"] = means_K
            elif head == "relation":
                losses["side"] = _RELATION_WEIGHT * means_K.sum()
            else:
                losses["role"] = means_K.mean()
        return losses


def _ids(tokenizer: PreTrainedTokenizerBase, words: Sequence[str]) -> frozenset[int]:
    return frozenset(int(tokenizer.convert_tokens_to_ids(f"▁{word}")) for word in words)


def _mean_losses(logits_BNK: Tensor, labels_BNK: Tensor, mask_BNK: Tensor) -> Tensor:
    """Binary cross entropy of each of the K outputs, averaged where the mask is 1: (K,)."""
    losses = functional.binary_cross_entropy_with_logits(logits_BNK.float(), labels_BNK, mask_BNK, reduction="none")
    return losses.sum((0, 1)) / mask_BNK.sum((0, 1)).clamp(min=1)
