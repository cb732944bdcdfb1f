"""Grounding heads: auxiliary classifiers on the language model during pretraining, dropped afterwards.

Trained on answers alone, a small T5 does not learn in thousands of steps which object an instruction refers to, nor
which it has named already (``docs/log.md``). So seven heads give it a direct signal, six in its encoder:

* `referent`, for each object token: does the instruction refer to this object? Is it the anchor, the object that
  another is compared with?
* `relation`, for each object token of the referent: is it left of the anchor, is it above it, and is the relation in
  the question true? For a comparison ("are they both red?"), for each object compared: is it true?
* `role`, for each text token, after the first block: does this word name the referent (before the relation's word) or
  the anchor (behind it)?
* `current`, for each text token of a dialog, after the first block: is it part of the question to answer, not of an
  earlier round?
* `repeat`, for each object token, after the second block: does an earlier token show the same object?
* `rank`, for each object token: the object's place from left to right, in captions among all objects, for "how many"
  among those that are counted.

And one in its decoder, before the last block:

* `naming`, for each word of a caption that names an object: which object tokens are that object's?

B batch, M object tokens, T text tokens, A answer tokens, D width.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from lion.data.sources.world import COMPARISONS
from lion.prompts import Task
from lion.train.mini.curriculum import Example
from lion.world import CATEGORIES, COLOURS, SIZES, Scene
from lion.world.relations import MARGIN
from lion.world.vocabulary import MAX_OBJECTS

_RELATION_WORDS = ("left", "right", "above", "below", "higher", "lower")
_RELATION_WEIGHT = 0.3
"""At 2, relations dominated the answers, which then fell behind in everything else (``docs/log.md``)."""
_REPEAT_WEIGHT = 0.3
"""Of the first trial; others were not tried."""
_ANSWER = 3
"""Tokens of an earlier answer, "Answer: red", behind its question: of neither."""
_MINUS_INFINITY = -1e9
"""Finite, since the gradient of a row that is masked everywhere would be NaN."""
_OPPOSITES = (("left", "right"), ("above", "below"), ("yes", "no"))
"""The three outputs of the relation head: each is the logit of the first word against the second."""


class GroundingTargets:
    """Labels and masks of the heads; the tokenizer has a piece for each word of the drawn world."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.names = _ids(tokenizer, (*CATEGORIES, *COLOURS, *SIZES))
        self.categories = _ids(tokenizer, CATEGORIES)
        self.relations = _ids(tokenizer, _RELATION_WORDS)
        self.bracket, self.mark = tokenizer.convert_tokens_to_ids(["]", "?"])

    def __call__(self, examples: Sequence[Example], input_ids_BT: Tensor, labels_BA: Tensor) -> dict[str, Tensor]:
        """For each head `<head>_labels` and `<head>_mask`, 1 where the label is known.

        Returns: `referent_*` (B, M, 2: referent, anchor), `relation_*` (B, M, 3: :data:`_OPPOSITES`), `role_*`
            (B, T, 2: names the referent, names the anchor), `current_*` (B, T, 1), `repeat_*` (B, M, 1), `rank_*`
            (B, M: 0 for the leftmost), `naming_*` (B, A, M: is the token the named object's?).
        """
        size, tokens = len(examples), max((len(example.tokens) for example in examples), default=0)
        shapes = {
            "referent": (size, tokens, 2),
            "relation": (size, tokens, 3),
            "role": (*input_ids_BT.shape, 2),
            "current": (*input_ids_BT.shape, 1),
            "repeat": (size, tokens, 1),
            "rank": (size, tokens),
            "naming": (*labels_BA.shape, tokens),
        }
        targets = {
            f"{head}_{kind}": torch.zeros(shape) for head, shape in shapes.items() for kind in ("labels", "mask")
        }
        for row, example in enumerate(examples):
            here = slice(len(example.tokens))
            indices = [-1 if token.object_index is None else token.object_index for token in example.tokens]
            seen = [index in indices[:place] for place, index in enumerate(indices)]
            targets["repeat_labels"][row, here, 0] = torch.tensor(seen, dtype=torch.float32)
            targets["repeat_mask"][row, here, 0] = torch.tensor([index >= 0 for index in indices]).float()
            for name, of_objects in self._of_objects(example).items():
                # The last row, which -1 takes, is the background's.
                with_background = torch.cat([of_objects, torch.zeros_like(of_objects[:1])])
                targets[name][row, here] = with_background[torch.tensor(indices, dtype=torch.long)]
            if "about" in example.meta:
                targets["referent_mask"][row, here] = 1
            if example.task == Task.CAPTION:
                named, known = self._named(labels_BA[row].tolist(), indices, _ranked(example))
                targets["naming_labels"][row, :, here], targets["naming_mask"][row] = named, known
            if example.task == Task.VQA and example.meta["kind"] == "relation":
                # Not in a dialog, whose earlier rounds hold relation words, too.
                targets["role_labels"][row], targets["role_mask"][row] = self._roles(input_ids_BT[row].tolist())
            if example.task == Task.DIALOG:
                marks_N = (input_ids_BT[row] == self.mark).nonzero()[:, 0]
                if len(marks_N) > 1:
                    targets["current_labels"][row, marks_N[-2] + 1 : marks_N[-1] + 1] = 1
                    targets["current_mask"][row, : marks_N[-1] + 1] = 1
                    targets["current_mask"][row, marks_N[-2] + 1 : marks_N[-2] + 1 + _ANSWER] = 0
        return targets

    def _of_objects(self, example: Example) -> dict[str, Tensor]:
        """Labels and masks that are one for all tokens of an object, (objects, ...), 0 where there is none."""
        objects, meta = len(example.scene.objects), example.meta
        referent, rank = torch.zeros(objects, 2), torch.zeros(2, objects)
        relation = torch.zeros(2, objects, 3)
        for place, index in enumerate(_ranked(example)):
            rank[:, index] = torch.tensor([place, 1.0])
        about, anchor = meta.get("about", ()), None
        if meta.get("kind") == "relation" and example.task != Task.REC:
            about, anchor = about[:1], about[1]
            referent[anchor, 1] = 1
        for index in about:
            referent[index, 0] = 1
            if anchor is not None:
                relation[:, index] = torch.stack(_relation(example.scene, index, anchor, example.answer))
            elif meta.get("kind") in COMPARISONS:
                relation[:, index, 2] = torch.tensor([float(example.answer == "yes"), 1.0])
        return {
            "referent_labels": referent,
            "relation_labels": relation[0],
            "relation_mask": relation[1],
            "rank_labels": rank[0],
            "rank_mask": rank[1],
        }

    def _named(self, labels: Sequence[int], indices: Sequence[int], ranked: Sequence[int]) -> tuple[Tensor, Tensor]:
        """For each token of a caption, which object tokens it names (A, M), and whether it names any (A, 1).

        A caption names all objects, `ranked` in its order; the category ends a name.
        """
        named = torch.full((len(labels),), -2)  # the index of no object and no background
        number = 0
        for place, piece in enumerate(labels):
            if piece in self.names:
                named[place] = ranked[number]
                number += piece in self.categories
        named_AM = named[:, None] == torch.tensor(indices, dtype=torch.long)
        return named_AM.float(), named_AM.any(1, keepdim=True).float()

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


def _ranked(example: Example) -> list[int]:
    """The objects that have a rank, from left to right, in the order of captions."""
    if example.task == Task.CAPTION:
        among: Sequence[int] = range(len(example.scene.objects))
    else:
        among = example.meta["about"] if example.meta.get("kind") == "count" else ()
    return sorted(among, key=lambda index: example.scene.objects[index].box.center[0])


def _relation(scene: Scene, referent: int, anchor: int, answer: str) -> tuple[Tensor, Tensor]:
    """Labels (3,) and mask: left of the anchor, above it (known beyond a margin), and whether the claim holds."""
    gaps = [a - b for a, b in zip(*(scene.objects[i].box.center for i in (referent, anchor)), strict=True)]
    known = [*(abs(gap) >= MARGIN for gap in gaps), answer in ("yes", "no")]
    return torch.tensor([*(gap < 0 for gap in gaps), answer == "yes"]).float(), torch.tensor(known).float()


class States(NamedTuple):
    """The hidden states that the heads read."""

    objects_BMD: Tensor
    """The encoder's output at the object tokens."""
    objects_after_second_BMD: Tensor
    """The same after its second block."""
    text_after_first_BTD: Tensor
    """The text's after its first block."""
    answer_before_last_BAD: Tensor
    """The answer's before the decoder's last block."""


class GroundingHeads(nn.Module):
    """The heads and their losses, with the language model's width and tokenizer."""

    opposites: Tensor

    def __init__(self, width: int, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self.symbols = nn.Linear(width, 2)  # the referent head; this and `words` are names in checkpoints
        self.words = nn.Linear(width, 2)  # the role head
        self.current = nn.Linear(width, 1)
        self.repeat = nn.Linear(width, 1)
        self.rank = nn.Linear(width, MAX_OBJECTS)
        self.naming = nn.Linear(width, width)
        pairs = [[tokenizer.convert_tokens_to_ids(f"▁{word}") for word in pair] for pair in _OPPOSITES]
        self.register_buffer("opposites", torch.tensor(pairs))

    def losses(self, states: States, embedding: nn.Embedding, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mean cross entropies `thing` (referent), `anchor`, `side` (relation), and of the other heads by their names;
        of heads with a known label.

        The relation head has no weights: it compares with the language model's own word embeddings, so that relations
        are encoded as colours are.

        Args:
            states: what the heads read.
            embedding: the language model's.
            batch: holds what :class:`GroundingTargets` made.
        """
        first, second = embedding(self.opposites).unbind(1)
        encoded_BMD, scale = states.objects_BMD, states.objects_BMD.shape[-1] ** -0.5
        logits = {
            "referent": self.symbols(encoded_BMD),
            "relation": encoded_BMD @ (first - second).T * scale,
            "role": self.words(_normed(states.text_after_first_BTD)),
            "current": self.current(_normed(states.text_after_first_BTD)),
            "repeat": self.repeat(_normed(states.objects_after_second_BMD)),
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
                losses[head] = means_K.mean() * (_REPEAT_WEIGHT if head == "repeat" else 1)
        if (known_BM := batch["rank_mask"].bool()).any():
            logits_NR = self.rank(encoded_BMD[known_BM]).float()
            losses["rank"] = functional.cross_entropy(logits_NR, batch["rank_labels"][known_BM].long())
        if (known_BA := batch["naming_mask"].bool().any(-1)).any():
            logits_BAM = self.naming(_normed(states.answer_before_last_BAD)) @ encoded_BMD.mT * scale
            logits_BAM = logits_BAM.float().masked_fill(~batch["object_mask"].bool()[:, None], _MINUS_INFINITY)
            own_BAM = logits_BAM.masked_fill(~batch["naming_labels"].bool(), _MINUS_INFINITY)
            losses["naming"] = (logits_BAM.logsumexp(-1) - own_BAM.logsumexp(-1))[known_BA].mean()
        return losses


def _normed(hidden: Tensor) -> Tensor:
    return functional.layer_norm(hidden, hidden.shape[-1:])


def _ids(tokenizer: PreTrainedTokenizerBase, words: Sequence[str]) -> frozenset[int]:
    return frozenset(int(tokenizer.convert_tokens_to_ids(f"▁{word}")) for word in words)


def _mean_losses(logits_BNK: Tensor, labels_BNK: Tensor, mask_BNK: Tensor) -> Tensor:
    """Binary cross entropy of each of the K outputs, averaged where the mask is 1: (K,)."""
    losses = functional.binary_cross_entropy_with_logits(logits_BNK.float(), labels_BNK, mask_BNK, reduction="none")
    return losses.sum((0, 1)) / mask_BNK.sum((0, 1)).clamp(min=1)
