"""Who decodes when: prompts wait, are encoded together, take places in a lane, and leave when they end."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor

from lion.engine import beams, sampling
from lion.engine.beams import BeamSearch
from lion.engine.decode import Lane
from lion.engine.encode import encode_each
from lion.engine.rows import output, written
from lion.engine.sampling import RowSearch
from lion.engine.settings import Output, Settings
from lion.engine.weights import Weights, route

_TICKETS = count(1)
"""No two prompts of a process have the same."""


@dataclass(frozen=True, slots=True)
class EmbeddedPrompt:
    """An embedded prompt and how it is decoded."""

    inputs_ND: Tensor
    """What the encoder reads: visual tokens and text, (N, D), without padding."""
    level: int
    """Its task level."""
    settings: Settings
    adapters: int = 0
    """Number of its adapters, of :meth:`Weights.adapters_of`."""

    @property
    def route(self) -> int:
        """Adapters and level as one number."""
        return route(self.adapters, self.level)


class _Track:
    """A lane, the prompts in it and those that wait for it; all have the same number of rows and kind of search."""

    def __init__(self, weights: Weights, settings: Settings, places: int) -> None:
        self.kind: type[BeamSearch] | type[RowSearch] = BeamSearch if settings.is_beam_search else RowSearch
        self.lane = Lane(weights, settings.rows, places)
        self.given: deque[tuple[int, EmbeddedPrompt]] = deque()
        self.encoded: deque[tuple[int, EmbeddedPrompt, Tensor]] = deque()
        self.tickets: list[int] = []
        self.searches: list[BeamSearch | RowSearch] = []

    def __bool__(self) -> bool:
        return bool(self.given or self.encoded or self.tickets)

    def leave(self, place: int) -> None:
        """The prompt in a place goes, and the last one takes its place."""
        self.lane.release(place)
        self.tickets[place], self.searches[place] = self.tickets[-1], self.searches[-1]
        self.tickets.pop()
        self.searches.pop()


class Scheduler:
    """Decodes prompts that may come at any time.

    Args:
        weights: of the language model.
        places: prompts of an equal number of rows that are decoded together; each holds a row for every beam or sample.
    """

    def __init__(self, weights: Weights, places: int = 8) -> None:
        self.weights, self.places = weights, places
        self._tracks: dict[tuple[bool, int], _Track] = {}

    def __bool__(self) -> bool:
        return any(self._tracks.values())

    def run(self, prompts: Sequence[EmbeddedPrompt]) -> list[list[Output]]:
        """Decode all of them; for each its answers, best first."""
        tickets = [self.submit(prompt) for prompt in prompts]
        answers: dict[int, list[Output]] = {}
        while len(answers) < len(tickets):
            answers |= self.step()
        return [answers[ticket] for ticket in tickets]

    def submit(self, prompt: EmbeddedPrompt) -> int:
        """Take a prompt; :meth:`step` hands its answers back under the number returned."""
        settings = prompt.settings
        key = (settings.is_beam_search, settings.rows)
        if key not in self._tracks:
            self._tracks[key] = _Track(self.weights, settings, self.places)
        ticket = next(_TICKETS)
        self._tracks[key].given.append((ticket, prompt))
        return ticket

    def partial(self, ticket: int) -> list[Output]:
        """The answers so far of a prompt in a place; empty where it waits, and with beams, which settle at the end."""
        for track in self._tracks.values():
            if track.kind is RowSearch and ticket in track.tickets:
                rows = track.searches[track.tickets.index(ticket)].rows
                return [output(row, sum(token.logprob for token in written(row))) for row in rows]
        return []

    def cancel(self, ticket: int) -> None:
        """Forget a prompt, and free its place; one that has ended is none."""
        for track in self._tracks.values():
            track.given = deque(one for one in track.given if one[0] != ticket)
            track.encoded = deque(one for one in track.encoded if one[0] != ticket)
            if ticket in track.tickets:
                track.leave(track.tickets.index(ticket))

    @torch.inference_mode()
    def step(self) -> dict[int, list[Output]]:
        """Move every prompt in a place on by one token; the answers of those that have ended."""
        ended: dict[int, list[Output]] = {}
        for track in self._tracks.values():
            if track:
                self._admit(track)
                self._advance(track)
                ended |= self._leave(track)
        return ended

    def _admit(self, track: _Track) -> None:
        free = self.places - len(track.tickets)
        if free and track.given and not track.encoded:
            self._encode(track)
        while free and track.encoded:
            ticket, prompt, states_ND = track.encoded.popleft()
            track.lane.admit(states_ND, prompt.route)
            track.tickets.append(ticket)
            track.searches.append(track.kind(prompt.settings))
            free -= 1

    def _encode(self, track: _Track) -> None:
        """As many of the waiting prompts as there are places."""
        given = [track.given.popleft() for _ in range(min(self.places, len(track.given)))]
        prompts = [prompt for _, prompt in given]
        states = encode_each(self.weights, [one.inputs_ND for one in prompts], [one.route for one in prompts])
        track.encoded.extend((ticket, prompt, own) for (ticket, prompt), own in zip(given, states, strict=True))

    def _advance(self, track: _Track) -> None:
        searches, weights = track.searches, self.weights
        tokens = [[row.id if row else weights.start for row in search.rows] for search in searches]
        parents = [search.parents for search in searches if isinstance(search, BeamSearch)]
        logits = track.lane.step(tokens, parents or None)
        kind = beams if track.kind is BeamSearch else sampling
        kind.advance(logits, searches, weights.start, weights.end)

    def _leave(self, track: _Track) -> dict[int, list[Output]]:
        ended: dict[int, list[Output]] = {}
        for place in reversed(range(len(track.tickets))):
            if track.searches[place].done:
                ended[track.tickets[place]] = track.searches[place].outputs()
                track.leave(place)
        return ended
