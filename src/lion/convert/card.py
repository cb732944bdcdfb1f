"""The model card of a converted LION: its inputs, its use, and that it was not evaluated."""

import os
from collections.abc import Iterator
from pathlib import Path

from lion.convert.plan import Plan
from lion.provenance import commit, versions

_CARD = """\
---
library_name: transformers
pipeline_tag: image-text-to-text
tags: [lion, image-captioning, visual-question-answering, visual-grounding]
---

# {name}

LION (CVPR 2024, [arXiv 2311.11860](https://arxiv.org/abs/2311.11860)): a frozen FLAN-T5 that answers about a picture in
words and boxes. {parameters:,} parameters, stored as {stored}. Converted with the `lion` library; weights are the
authors' and come under the terms of their release and of the parts named below.

{variant}
## Made of

{sources}

What became of every tensor stands in `conversion.txt`. Made by {made}.

## Use

```python
from lion import LionPipeline

lion = LionPipeline.from_pretrained("path/to/{name}")  # this folder, or its Hub id
look = lion.look("photo.jpg")
print(lion.caption(look).text, lion.locate(look, "the dog").boxes)
```

or, with transformers alone (`import lion.model` registers the classes; no remote code):

```python
import lion.model
from transformers import AutoModelForImageTextToText, AutoProcessor

model = AutoModelForImageTextToText.from_pretrained("path/to/{name}", device_map="auto")
processor = AutoProcessor.from_pretrained("path/to/{name}")
```

`pipeline("image-text-to-text", model="path/to/{name}")` of transformers answers, too, questions and chats alike; to
locate a phrase give it `tasks="rec"`.

{tagger} Generation defaults are five beams, as released; the released repetition penalty of 1.5 is not among them, as
it punishes what every box repeats (`repetition_penalty=1.5` brings it back).

## Scores

Benchmarks were not run on this conversion.
"""

_STAGE = (
    "**This checkpoint reads {visual} alone** (`visual_inputs: {name}`): it is one of the stages before the last. What "
    "its stage did not train holds start values.\n"
)
_TAGGER = "The tagger is in `tagger/`."
_NO_TAGGER = "It came without a tagger: prompts hold no tags unless you give them."
_VISUAL = {"qformer": "Q-Former tokens", "aggregator": "Vision Aggregator tokens"}


def model_card(name: str, plan: Plan) -> str:
    """The card as Markdown. Of local inputs only the last part is named: their folders exist on one machine only."""
    visual = plan.config.visual_inputs
    types = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in plan.tensors})
    stored = types[0] if len(types) == 1 else "bfloat16; adapters, routers and connector norms as float32"
    made = ", ".join(f"{library} {version}" for library, version in versions().items())
    return _CARD.format(
        name=name,
        parameters=sum(tensor.parameters for tensor in plan.tensors),
        stored=stored,
        variant="" if visual == "both" else _STAGE.format(visual=_VISUAL[visual], name=visual),
        sources="\n".join(_sources(plan)),
        made=f"{made}, lion at {commit() or 'a release'}",
        tagger=_TAGGER if plan.inputs.ram else _NO_TAGGER,
    )


def _sources(plan: Plan) -> Iterator[str]:
    inputs = plan.inputs
    opened = {row.source for row in plan.report.rows}
    for part, source in (("LION", inputs.lion), ("Vision Encoder", inputs.vit), ("language model", plan.llm)):
        if source and source in opened:
            yield f"* {part}: `{_public(source)}`"
    yield f"* tokenizers: `{_public(plan.llm)}` and `{_public(inputs.bert)}`"
    if inputs.ram:
        yield f"* tagger: `{_public(inputs.ram)}`"


def _public(source: str) -> str:
    """A Hub id unchanged; of a local path the last part."""
    path = Path(os.path.expanduser(source))
    return path.absolute().name if path.exists() else source
