"""What an instruction is about: heads on the language model's encoder while it is pretrained, thrown away after that.

Left to its answers alone a small T5 does not find out who is meant: for thousands of steps nothing it could change a
little makes an answer better (``docs/log.md``). So its encoder is also asked, symbol by symbol: is the instruction
about this one? Is it what another is compared with? Does it stand left of that, above it, does what the question claims
hold? And word by word, after the first block: does this name something before the relation, or behind it?

B batch, M symbols, T text tokens, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from lion.prompts import Task
from lion.train.mini.curriculum import Row
from lion.world import CATEGORIES, COLOURS, SIZES, Scene
from lion.world.relations import MARGIN

_RELATIONS = ("left", "right", "above", "below", "higher", "lower")
_SIDE = 0.3
"""Weight of relations: at 2 they drowned the answers, which then fell behind in everything else (``docs/log.md``)."""
_OPPOSITES = (("left", "right"), ("above", "below"), ("yes", "no"))
"""What a relation comes down to: on which side, at which level, and whether the question is right."""


class MeantTargets:
    """What is true about a batch, for the heads to say.

    Args:
        tokenizer: the language model's, with a piece for each word of the drawn world.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.names = _ids(tokenizer, (*CATEGORIES, *COLOURS, *SIZES))
        self.relations = _ids(tokenizer, _RELATIONS)
        self.bracket = tokenizer.convert_tokens_to_ids("]")

    def __call__(self, rows: Sequence[Row], input_ids_BT: Tensor) -> dict[str, Tensor]:
        """Truths and which of them are known, each (B, 2, M or T, K).

        Args:
            rows: what the batch tells and asks.
            input_ids_BT: their text.
        """
        longest = max((len(row.symbols) for row in rows), default=0)
        symbols = torch.zeros(len(rows), 2, longest, 2)
        relations = torch.zeros(len(rows), 2, longest, len(_OPPOSITES))
        words = torch.zeros(len(rows), 2, input_ids_BT.shape[1], 2)
        for index, row in enumerate(rows):
            if "about" not in row.meta:
                continue  # a caption means everything
            about, anchor = row.meta["about"], None
            if row.meta.get("kind") == "relation" and row.task != Task.REC:
                about, anchor = about[:1], about[1]
                if row.task == Task.VQA:  # a dialog's earlier rounds speak of relations, too
                    words[index] = self._roles(input_ids_BT[index].tolist())
            for place, thing in enumerate(symbol.thing for symbol in row.symbols):
                symbols[index, 0, place] = torch.tensor([thing in about, thing is not None and thing == anchor])
                symbols[index, 1, place] = 1
                if thing is not None and anchor is not None and thing in about:
                    relations[index, :, place] = _relations(row.scene, thing, anchor, row.answer)
        return {"meant_symbols": symbols, "meant_relations": relations, "meant_words": words}

    def _roles(self, ids: Sequence[int]) -> Tensor:
        """(2, T, 2): whether a naming word comes before the relation, whether behind it; and where that is known.

        Tags and told things before the question name things, too, and are neither; both end in brackets.
        """
        roles = torch.zeros(2, len(ids), 2)
        start = max((place for place, piece in enumerate(ids) if piece == self.bracket), default=0)
        first = next((place for place, piece in enumerate(ids) if piece in self.relations), None)
        if first is not None:
            for place, piece in enumerate(ids):
                if piece in self.names and place >= start:
                    roles[:, place] = torch.tensor([[place < first, place > first], [True, True]])
        return roles


class Meant(nn.Module):
    """The heads and their losses.

    Args:
        width: the language model's.
        tokenizer: the language model's.
    """

    opposites: Tensor

    def __init__(self, width: int, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self.symbols = nn.Linear(width, 2)  # thing, anchor
        self.words = nn.Linear(width, 2)  # of the thing, of the anchor
        pairs = [[tokenizer.convert_tokens_to_ids(f"▁{word}") for word in pair] for pair in _OPPOSITES]
        self.register_buffer("opposites", torch.tensor(pairs))

    def losses(
        self, encoded_BMD: Tensor, first_BTD: Tensor, shared: nn.Embedding, batch: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Mean cross entropies: `thing`, `anchor`, `side` (relations), `role` (words): those that the batch asks for.

        A relation is read in the language model's own words, so that its decoder finds it where it finds a colour.

        Args:
            encoded_BMD: the encoder's output at the symbols.
            first_BTD: its first block's output at the text.
            shared: the language model's embedding.
            batch: holds what :class:`MeantTargets` made.
        """
        one, other = shared(self.opposites).unbind(1)
        relations_BM3 = encoded_BMD @ (one - other).T * encoded_BMD.shape[-1] ** -0.5
        thing, anchor = _mean_losses(self.symbols(encoded_BMD), batch["meant_symbols"])
        side = _mean_losses(relations_BM3, batch["meant_relations"]).sum()
        words_BT2 = self.words(functional.layer_norm(first_BTD, first_BTD.shape[-1:]))
        role = _mean_losses(words_BT2, batch["meant_words"]).mean()
        asked = {
            "symbols": {"thing": thing, "anchor": anchor},
            "relations": {"side": _SIDE * side},
            "words": {"role": role},
        }
        return {
            name: loss for kind, found in asked.items() if batch[f"meant_{kind}"].any() for name, loss in found.items()
        }


def _ids(tokenizer: PreTrainedTokenizerBase, words: Sequence[str]) -> frozenset[int]:
    return frozenset(int(tokenizer.convert_tokens_to_ids(f"▁{word}")) for word in words)


def _relations(scene: Scene, thing: int, anchor: int, answer: str) -> Tensor:
    """Truths and known (2, 3): left of the anchor, above it, and whether the question's claim holds."""
    gaps = [a - b for a, b in zip(*(scene.objects[i].box.center for i in (thing, anchor)), strict=True)]
    known = [*(abs(gap) >= MARGIN for gap in gaps), answer in ("yes", "no")]
    return torch.tensor([[*(gap < 0 for gap in gaps), answer == "yes"], known]).float()


def _mean_losses(logits: Tensor, known: Tensor) -> Tensor:
    """Binary cross entropy of logits (B, N, K) against truths and known (B, 2, N, K): a mean for each of the K."""
    truth, weight = known.unbind(1)
    losses = functional.binary_cross_entropy_with_logits(logits.float(), truth, weight, reduction="none")
    return losses.sum((0, 1)) / weight.sum((0, 1)).clamp(min=1)
