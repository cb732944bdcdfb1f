"""The parts of a pipeline, and adapters by name: what several fine-tunings trained, on one model in memory, chosen by
each request.

Requests of a batch that take different adapters go apart as far as these change what a picture looks like, and share
the steps of the language model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any

from lion.checkpoints.adapters import Adapters
from lion.checkpoints.finding import about
from lion.engine.look import Seeing, seeing_of
from lion.errors import LionError
from lion.model import LionForConditionalGeneration, LionProcessor
from lion.nn.inference import Read
from lion.pipeline.decode import Decoder, EngineDecoder
from lion.pipeline.evidence import EvidenceCache
from lion.pipeline.request import DecodingPreset
from lion.prompts import Task
from lion.tagging import Tagger

SEEN_BY = frozenset({"vision_aggregator", "mlp"})
"""Components that shape the visual features of a picture."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A model with adapters: what of a pipeline is its own."""

    name: str
    """As answers give it: ``lion-mini:shop``."""
    model: LionForConditionalGeneration
    seeing: Read[Seeing]
    cache: EvidenceCache


class Parts:
    """What of a :class:`~lion.pipeline.LionPipeline`, which describes them, takes requests along their path."""

    name: str
    batch_size: int
    decoding: Mapping[Task, DecodingPreset]
    decoder: Decoder
    model: LionForConditionalGeneration
    seeing: Read[Seeing]
    processor: LionProcessor
    tagger: Tagger | None
    cache: EvidenceCache
    lock: RLock
    _variants: dict[str, Variant]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, lock=RLock())

    @property
    def about(self) -> str | None:
        """What whoever asks the model about a picture should know; None if nothing."""
        return about(self.name, self.model.config.domain)

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names that ``Request(adapters=...)`` may give, in the order in which they were loaded."""
        return tuple(self._variants)

    def load_adapters(self, path: str | Path, name: str | None = None) -> str:
        """Load a file of :mod:`adapters <lion.checkpoints.adapters>` for requests that name it; others keep the model.

        Args:
            path: the file, or the folder of the run that left it; ``name=FILE`` names it, too.
            name: what requests call it; None for the run's name.

        Returns: the name.

        Raises: LionError if the file is none, belongs to another model, or the name is taken; or if the decoder cannot
            switch, in which case the adapters are put on the whole model: ``from_pretrained(adapters=path)``.
        """
        adapters = Adapters.read(path)
        name = name or adapters.name
        if not isinstance(self.decoder, EngineDecoder):
            raise LionError(
                "adapters by name need the EngineDecoder; put them on the model: from_pretrained(adapters=)"
            )
        with self.lock:
            if name in self._variants or name == Path(self.name).name:
                raise LionError(f"there are adapters called {name}; unload_adapters({name!r}), or name these otherwise")
            model = adapters.on(self.model)
            sees = not SEEN_BY.isdisjoint(adapters.components)
            own = (seeing_of(model), EvidenceCache(self.cache.max_bytes)) if sees else (self.seeing, self.cache)
            self._variants[name] = Variant(f"{self.name}:{name}", model, *own)
            self.decoder.add(name, model)
        return name

    def unload_adapters(self, name: str) -> None:
        """Forget adapters; their memory is free once nobody decodes. Raises: LionError for an unknown name."""
        with self.lock:
            self.variant(name)
            del self._variants[name]
            assert isinstance(self.decoder, EngineDecoder)
            self.decoder.remove(name)

    def variant(self, name: str | None) -> Variant:
        """The model that answers requests with these adapters, or with none. Raises: LionError for an unknown name."""
        if name is None:
            return Variant(self.name, self.model, self.seeing, self.cache)
        if name not in self._variants:
            there = f"there are {', '.join(self._variants)}" if self._variants else "none are loaded: load_adapters"
            raise LionError(f"no adapters are called {name!r}; {there}")
        return self._variants[name]
