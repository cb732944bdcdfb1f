"""Who decodes when: prompts wait, are encoded together, take places in a lane, and leave when they end."""

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lion.engine import beams, sampling
from lion.engine.beams import BeamSearch
from lion.engine.decode import SOURCE_STEP, Lane
from lion.engine.encode import encode
from lion.engine.rows import ids
from lion.engine.sampling import RowSearch
from lion.engine.settings import Output, Settings
from lion.engine.weights import Weights


@dataclass(frozen=True, slots=True)
class EmbeddedPrompt:
    """An embedded prompt and how it is decoded."""

    inputs_ND: Tensor
    """What the encoder reads: visual tokens and text, (N, D), without padding."""
    level: int
    """Its task level."""
    settings: Settings


@dataclass(frozen=True, slots=True)
class _Waiting:
    ticket: int
    prompt: EmbeddedPrompt
    states_BND: Tensor
    mask_B11N: Tensor


class _Track:
    """A lane, the prompts in it and those that wait for it; all have the same number of rows and kind of search."""

    def __init__(self, weights: Weights, settings: Settings, places: int) -> None:
        self.kind: type[BeamSearch] | type[RowSearch] = BeamSearch if settings.is_beam_search else RowSearch
        self.lane = Lane(weights, settings.rows, places)
        self.given: deque[tuple[int, EmbeddedPrompt]] = deque()
        self.encoded: deque[_Waiting] = deque()
        self.tickets: list[int] = []
        self.searches: list[BeamSearch | RowSearch] = []

    def __bool__(self) -> bool:
        return bool(self.given or self.encoded or self.tickets)


class Scheduler:
    """Decodes prompts that may come at any time.

    Args:
        weights: of the language model.
        places: prompts of an equal number of rows that are decoded together; each holds a row for every beam or sample.
    """

    def __init__(self, weights: Weights, places: int = 8) -> None:
        self.weights, self.places = weights, places
        self._tracks: dict[tuple[bool, int], _Track] = {}
        self._given = 0

    def run(self, prompts: Sequence[EmbeddedPrompt]) -> list[list[Output]]:
        """Decode all of them; for each its answers, best first."""
        tickets = [self.submit(prompt) for prompt in prompts]
        answers: dict[int, list[Output]] = {}
        while len(answers) < len(tickets):
            answers |= self.step()
        return [answers[ticket] for ticket in tickets]

    def stream(self, prompt: EmbeddedPrompt) -> Generator[int, None, Output]:
        """The ids of a prompt with one row, as they are found, and in the end its answer; nothing else may be
        waiting."""
        ticket, known = self.submit(prompt), 0
        (track,) = [track for track in self._tracks.values() if track]
        while True:
            ended = self.step()
            found = ended[ticket][0].ids if ended else ids(track.searches[0].rows[0])
            yield from found[known:]
            if ended:
                return ended[ticket][0]
            known = len(found)

    def submit(self, prompt: EmbeddedPrompt) -> int:
        """Take a prompt; :meth:`step` hands its answers back under the number returned."""
        settings = prompt.settings
        key = (settings.is_beam_search, settings.rows)
        if key not in self._tracks:
            self._tracks[key] = _Track(self.weights, settings, self.places)
        self._given += 1
        self._tracks[key].given.append((self._given, prompt))
        return self._given

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
            waiting = track.encoded.popleft()
            track.lane.admit(waiting.states_BND, waiting.mask_B11N, [waiting.prompt.level])
            track.tickets.append(waiting.ticket)
            track.searches.append(track.kind(waiting.prompt.settings))
            free -= 1

    def _encode(self, track: _Track) -> None:
        """As many of the waiting prompts as there are places, those of about one length together."""
        given = [track.given.popleft() for _ in range(min(self.places, len(track.given)))]
        found: dict[int, _Waiting] = {}
        buckets: dict[int, list[tuple[int, EmbeddedPrompt]]] = {}
        for ticket, prompt in given:
            buckets.setdefault(-(-len(prompt.inputs_ND) // SOURCE_STEP), []).append((ticket, prompt))
        for members in buckets.values():
            states, mask = encode(self.weights, [p.inputs_ND for _, p in members], [p.level for _, p in members])
            for row, (ticket, prompt) in enumerate(members):
                length = len(prompt.inputs_ND)
                found[ticket] = _Waiting(
                    ticket, prompt, states[row : row + 1, :length], mask[row : row + 1, ..., :length]
                )
        track.encoded.extend(found[ticket] for ticket, _ in given)

    def _advance(self, track: _Track) -> None:
        searches, weights = track.searches, self.weights
        tokens = [[row.id if row else weights.start for row in search.rows] for search in searches]
        parents = [search.parents for search in searches if isinstance(search, BeamSearch)]
        logits = track.lane.step(
            torch.tensor(tokens, device=weights.device),
            torch.tensor(parents, device=weights.device) if parents else None,
        )
        kind = beams if track.kind is BeamSearch else sampling
        kind.advance(logits, searches, weights.start, weights.end)

    def _leave(self, track: _Track) -> dict[int, list[Output]]:
        ended: dict[int, list[Output]] = {}
        for place in reversed(range(len(track.tickets))):
            if track.searches[place].done:
                ended[track.tickets[place]] = track.searches[place].outputs()
                track.lane.release(place)
                track.tickets[place], track.searches[place] = track.tickets[-1], track.searches[-1]
                track.tickets.pop()
                track.searches.pop()
        return ended
