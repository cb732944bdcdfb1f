"""Grammars over token ids: which tokens may follow in each state, found once and kept as rows of a table.

S rows of the table, A most tokens of a row.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

MOST_ROWS = 1 << 14
"""A table that has so many rows begins anew: some grammars have states without end."""


class Grammar(ABC):
    """What may be generated, as an automaton; states belong to rows, the table to all of them.

    Attributes:
        start: the state before the first token.
    """

    start: Hashable = ()

    def __init__(self) -> None:
        self._rows: dict[Hashable, int] = {}
        self._table_SA = torch.zeros(0, 1, dtype=torch.long)

    @abstractmethod
    def next(self, state: Hashable, token: int) -> Hashable:
        """The state after a token; any, if the token may not follow."""

    @abstractmethod
    def following(self, key: Hashable) -> Sequence[int]:
        """The ids that may follow a state of this key, at least one; ``</s>`` alone where the answer is complete."""

    def key(self, state: Hashable) -> Hashable:
        """What of a state decides which tokens may follow: states that agree in it share a row of the table."""
        return state

    def allowed(self, states: Sequence[Hashable]) -> Tensor:
        """The ids that may follow each state, (len(states), A); where there are fewer, the first is repeated."""
        keys = [self.key(state) for state in states]
        if len(self._rows) + len(keys) > MOST_ROWS:
            self._rows.clear()
        for key in keys:
            if key not in self._rows:
                self._write(len(self._rows), self.following(key))
                self._rows[key] = len(self._rows)
        return self._table_SA[[self._rows[key] for key in keys]]

    def _write(self, row: int, tokens: Sequence[int]) -> None:
        rows, columns = self._table_SA.shape
        if row >= rows or len(tokens) > columns:
            more = torch.empty(max(rows, 2 * row, 16), max(columns, len(tokens)), dtype=torch.long)
            more[:rows] = torch.cat([self._table_SA, self._table_SA[:, :1].expand(-1, more.shape[1] - columns)], dim=1)
            self._table_SA = more
        self._table_SA[row] = tokens[0]
        self._table_SA[row, : len(tokens)] = torch.tensor(tokens)


class Choice(Grammar):
    """One of the given sequences of ids, each of which ends in ``</s>``. A state is what has been generated."""

    def __init__(self, sequences: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self._following: dict[Hashable, list[int]] = {}
        for ids in sequences:
            for length, token in enumerate(ids):
                known = self._following.setdefault(tuple(ids[:length]), [])
                if token not in known:
                    known.append(token)
        self._end = [sequences[0][-1]]

    def next(self, state: Hashable, token: int) -> Hashable:
        assert isinstance(state, tuple)
        return (*state, token)

    def following(self, key: Hashable) -> Sequence[int]:
        return self._following.get(key, self._end)
