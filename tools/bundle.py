"""Make the bundled lion-mini out of a finished chain: ``python tools/bundle.py runs/mini [scores folder]``.

Casts weights to bfloat16 (half the size; scores are measured on what is shipped), leaves logs behind, and writes the
model card from the runs' own records and, once there are some, the scores of ``lion eval world``.
"""

import argparse
import shutil
from pathlib import Path

import torch

from lion.atomic import atomic_directory, atomic_write
from lion.checkpoints.finding import BUNDLED, bundled_folder
from lion.checkpoints.record import FINISHED, read_record
from lion.model import LionForConditionalGeneration, LionProcessor
from lion.tagging import RamTagger

RUNS = ("t5", "vit", "t5-dialogs", "tagger", "connectors", "stage1", "stage2", "stage3", BUNDLED)

CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: image-text-to-text
---

# lion-mini

A LION of {parameters} parameters for the drawn world of this repository (`docs/explanation/world.md`). It comes with
the package and is the default model of every command:

```python
from lion import LionPipeline

lion = LionPipeline.from_pretrained()
print(lion.ask("examples/scene.png", "what color is the kite?").text)
```

With transformers alone (`docs/how-to/transformers.md`):

```python
import lion.model  # registers LION
from transformers import pipeline

answer = pipeline("image-text-to-text", model="path/to/lion-mini")
print(answer("examples/scene.png", text="what color is the kite?", return_full_text=False))
```

**For**: trying LION without a network or a GPU, tests, and experiments on the paper's claims. **Not for**:
photographs; it has seen drawn scenes and nothing else. It answers every phrase with a box, also one for an object
that is absent.

## How it was made

Vision Encoder (coarse image-phrase pairs, no boxes) and language model are pretrained and then frozen; the three
stages train what the paper trains. Where it departs from the paper:

* The language model was pretrained on scenes given as object tokens (one vector for each object: the sum of the
  embeddings of its words and coordinates), with auxiliary grounding heads, dropped afterwards, that predict which
  object tokens a question is about, how they relate, which of them show the same object, which comes first from the
  left, and which object a caption's word names. Its last run had tokens as inexact as visual ones: blends of two
  objects, and noise.
* The Vision Encoder's position embeddings start six times as large, or it forgets where things are.
* Q-Former and Vision Aggregator are pretrained, too: visual tokens are aligned with the object tokens of what they
  cover. The stages keep that alignment loss beside the language-model loss (`options.alignment`).
* The Q-Former's queries start as a grid of positions.
* Vision Encoder and tagger have a small convolutional stem instead of a patch projection.
* There is one vocabulary token for each 0.01 of a coordinate, and its labels are smoothed over neighbouring
  coordinates.
* Stage 3 goes on with captions that are drawn from the model: the better one names what is there, and nothing twice,
  the likelier it is made (`options.self_critical`).

What happens without them, by short trials (`docs/log.md`):

| without | measured | with it |
| --- | --- | --- |
| alignment, stage 1 | VQA loss .60 after 550 steps, as of a blind model | |
| alignment, stage 2 | REC loss flat after 360 steps | |
| grounding heads | REC .64, REG .52, VQA .45 on object tokens, 5,500 steps | first head: .60, .82, .64, 2,200 steps |
| heads for repeats, ranks and names | on exact object tokens, captions that name nothing too often: .78 to .82 | .96 |
| inexact object tokens, also of two objects | captions with nothing too often .681, dialog .850 (val) | .781, .878 |
| captions drawn and judged as a whole | captions with nothing too often .781, recall .956 (val) | .950, .934 |
| positions that start six times as large | REC .675, at IoU .75 .385 (200 val questions, stage 2) | .930, .810 |
| convolutional stem, Vision Encoder | average precision .31 after 500 steps | .76 |
| convolutional stem and another loss, tagger | average precision .3 after 650 steps | .81 after 3,000 |

Weights are bfloat16 (adapters, routers and norms float32), {megabytes:.1f} MB with the tagger. Made by the recipes of
`lion train mini`, and `tools/bundle.py`:

| recipe | steps | minutes | hardware | arithmetic | commit |
| --- | --- | --- | --- | --- | --- |
{runs}

{scores}
"""


def run_rows(chain: Path) -> str:
    """One table row for each run of the chain, from its own record."""
    rows = []
    for name in RUNS:
        record = read_record(chain / name)
        assert record, f"{name} is not finished"
        minutes, commit = record["seconds"] / 60, (record["commit"] or "unknown")[:10]
        rows.append(
            f"| {record['name']} | {record['steps']} | {minutes:.0f} | {record['hardware']} "
            f"| {record['precision']} | {commit} |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chain", type=Path, help="folder of the finished chain, as lion train mini leaves it")
    parser.add_argument("scores", type=Path, nargs="?", help="folder that lion eval world wrote")
    options = parser.parse_args()
    source = options.chain / BUNDLED
    model = LionForConditionalGeneration.from_pretrained(source, dtype=torch.bfloat16)
    tagger = RamTagger.from_pretrained(source / "tagger")
    tagger.model.to(torch.bfloat16)
    bundle = bundled_folder()
    shutil.rmtree(bundle, ignore_errors=True)
    bundle.parent.mkdir(exist_ok=True)
    with atomic_directory(bundle) as folder:
        model.save_pretrained(folder)
        LionProcessor.from_pretrained(source).save_pretrained(folder)
        tagger.save_pretrained(folder / "tagger")
        shutil.copy(source / FINISHED, folder)
    for file in bundle.rglob("*.safetensors"):
        file.chmod(0o644)  # the library writes them for their owner alone
    size = sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file()) / 1e6
    report = (options.scores / "report.md").read_text() if options.scores else "Scores: not measured yet."
    parameters = sum(parameter.numel() for parameter in model.parameters())
    card = CARD.format(
        parameters=f"{parameters / 1e6:.1f} million", megabytes=size, runs=run_rows(options.chain), scores=report
    )
    atomic_write(bundle / "README.md", card)


if __name__ == "__main__":
    main()
