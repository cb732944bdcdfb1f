"""The engine: sees, generates and ranks on tensors, near the machine's limit. It knows no words and no picture files.

:mod:`~lion.engine.look` runs the model's parts before the language model: pixels to features, features and prompts to
embedded input.

How a prompt becomes ids:

1. :class:`~lion.engine.weights.Weights` reads a language model once: per layer a few large products.
2. A :class:`~lion.engine.scheduler.EmbeddedPrompt` (embedded input, task level,
   :class:`~lion.engine.settings.Settings`) is given to a :class:`~lion.engine.scheduler.Scheduler`, at any time.
3. :mod:`~lion.engine.encode` runs waiting prompts of about one length through the encoder together.
4. A prompt takes a place of a :class:`~lion.engine.decode.Lane`, with as many rows as it has beams or answers. Its
   cross-attention keys and values exist there once, whatever the number of rows.
5. :meth:`~lion.engine.scheduler.Scheduler.step` moves all prompts of a lane on by one token, each at a position of
   its own, on a GPU as one of :mod:`~lion.engine.graphs`. :mod:`~lion.engine.beams` or
   :mod:`~lion.engine.sampling` choose the tokens.
6. A prompt that ends hands back its :class:`~lion.engine.settings.Output` objects and frees its place at once.

Prompts of all task levels, adapters, lengths and settings share a step if they have the same number of rows; no answer
depends on its neighbours. In float32 the ids are those of transformers' ``generate``.
:func:`~lion.engine.ranking.rank` weighs given answers instead.
"""

from lion.engine.ranking import rank
from lion.engine.scheduler import EmbeddedPrompt, Scheduler
from lion.engine.settings import Output, Settings, StopRule
from lion.engine.weights import Weights

__all__ = ["EmbeddedPrompt", "Output", "Scheduler", "Settings", "StopRule", "Weights", "rank"]
