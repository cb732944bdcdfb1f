"""Grammars over token ids: which tokens may follow in each state, found once and kept as a table.

A grammar is an automaton whose states are numbered as they are met; state 0 is the start. S states, A most tokens that
may follow one.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence

import torch
from torch import Tensor


class Grammar:
    """What may be generated.

    Args:
        start: the first state, in the words of whoever wrote the grammar.
        follow: from a state to the tokens that may come next, each with the state it leads to; never empty. A state in
            which the answer is complete has ``</s>`` alone.
    """

    def __init__(self, start: Hashable, follow: Callable[[Hashable], Mapping[int, Hashable]]) -> None:
        self._follow = follow
        self._numbers: dict[Hashable, int] = {start: 0}
        self._states: list[Hashable] = [start]
        self._next: list[dict[int, int] | None] = [None]
        self._table_SA = torch.zeros(0, 1, dtype=torch.long)

    @classmethod
    def of_sequences(cls, sequences: Sequence[Sequence[int]]) -> "Grammar":
        """One of the given sequences of ids, each ending in ``</s>``."""
        following: dict[Hashable, dict[int, Hashable]] = {}
        for ids in sequences:
            for length, token in enumerate(ids):
                following.setdefault(tuple(ids[:length]), {})[token] = tuple(ids[: length + 1])
        last = {sequence[-1] for sequence in sequences}
        return cls((), lambda state: following.get(state) or dict.fromkeys(last, state))

    def next(self, state: int, token: int) -> int:
        """The state after a token; of one that may not follow, the state itself."""
        return self._following(state).get(token, state)

    def allowed(self, states: Sequence[int]) -> Tensor:
        """The ids that may follow each state, (len(states), A); where there are fewer, the first is repeated."""
        for state in set(states):
            self._following(state)
        return self._table_SA[states]

    def only(self, state: int) -> int | None:
        """The one token that may follow, if there is but one."""
        following = self._following(state)
        return next(iter(following)) if len(following) == 1 else None

    def _following(self, state: int) -> dict[int, int]:
        """The tokens that may follow and their states; found, and written to the table, when first asked for."""
        known = self._next[state]
        if known is None:
            known = {token: self._number(after) for token, after in self._follow(self._states[state]).items()}
            self._next[state] = known
            self._write(state, list(known))
        return known

    def _number(self, state: Hashable) -> int:
        if state not in self._numbers:
            self._numbers[state] = len(self._states)
            self._states.append(state)
            self._next.append(None)
        return self._numbers[state]

    def _write(self, state: int, tokens: list[int]) -> None:
        rows, columns = self._table_SA.shape
        if state >= rows or len(tokens) > columns:
            more = torch.zeros(max(rows, 2 * state, 16), max(columns, len(tokens)), dtype=torch.long)
            more[:rows, :columns] = self._table_SA
            more[:rows, columns:] = self._table_SA[:, :1]
            self._table_SA = more
        self._table_SA[state] = tokens[0]
        self._table_SA[state, : len(tokens)] = torch.tensor(tokens)
