"""The paper's chain at real shape with random weights, two steps of each stage, on this machine's CPU.

    python -m tools.measure_chain FOLDER               # 27 GB of disk, 15 GB of memory
    python -m tools.measure_chain FOLDER --blocks 2    # XL's width with so many blocks a stack

Prints minutes and the largest own memory (RssAnon) of each stage as rows of docs/explanation/memory.md, and holds what
a stage trains and what it changed against the names that the released trainer trains.
"""

import argparse
import gzip
import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from lion.checkpoints.tensors import open_folder, own_tensors
from lion.convert.key_map import our_name
from lion.convert.official import build_processor
from lion.convert.writer import OutputTensor, write_sharded
from lion.model import LionConfig, LionForConditionalGeneration
from lion.model.modeling_lion import component_of
from lion.provenance import commit, hardware
from lion.train.frozen import frozen_matrices
from lion.train.recipe import load_chain
from lion.train.recipe.schema import Recipe
from lion.train.run import train
from lion.train.stages import STAGES
from tools.synthetic_checkpoint import KEYS, write_bert_tokenizer, write_t5_tokenizer

SETTINGS = ["steps=2", "batch_size=1", "gradient_accumulation=1", "gradient_checkpointing=true", "validation=null"]
SETTINGS += ["workers=0", "optimizer.warmup=0"]


def write_start(folder: Path, config: LionConfig) -> None:
    """A LION of random weights: frozen matrices in bfloat16, all else in float32, tensor by tensor."""
    folder.mkdir(parents=True)
    with torch.device("meta"):
        model = LionForConditionalGeneration(config)
    halved = {f"{name}.weight" for name in frozen_matrices(model, STAGES["stage3"].trainable)}
    numbers = torch.randn(2**20, generator=torch.Generator().manual_seed(0))

    def values(tensor: Tensor) -> Callable[[], Tensor]:
        scale = 0.02 if tensor.ndim < 2 else tensor.shape[-1] ** -0.5
        return lambda: (numbers.repeat(tensor.numel() // len(numbers) + 1)[: tensor.numel()] * scale).view(tensor.shape)

    write_sharded(
        folder,
        [
            OutputTensor(name, tuple(tensor.shape), torch.bfloat16 if name in halved else torch.float32, values(tensor))
            for name, tensor in own_tensors(model).items()
        ],
    )
    config.save_pretrained(folder)
    write_t5_tokenizer(folder / "text")
    write_bert_tokenizer(folder / "instruction")
    build_processor(str(folder / "text"), str(folder / "instruction"), config).save_pretrained(folder)


def recipes(folder: Path) -> list[Recipe]:
    """The chain of the paper, on drawn scenes."""
    settings = [*SETTINGS, f"root={folder}"]
    for stage in ("stage1", "stage2", "stage3"):
        tasks = {str(task): 1 for task in sorted(STAGES[stage].tasks)}
        data = [{"source": "world", "scenes": 8, "pixels": 224, "tasks": tasks, "tags": {"share": 1.0}}]
        settings.append(f"paper-xl-{stage}:data={json.dumps(data)}")
    return list(load_chain("paper-xl", settings).recipes)


def changed(recipe: Recipe) -> set[str]:
    """Tensors that differ between what a finished run exported and what it began with."""
    after, opened = open_folder(recipe.folder), {part: open_folder(path) for part, path in recipe.init_folders.items()}
    begin = {name: opened.get(component_of(name), opened["model"])[name] for name in after}
    return {name for name in after if not torch.equal(after[name].read(), begin[name].read())}


def golden(stage: str) -> set[str]:
    """What the released trainer trains of the XL model in a stage."""
    entries = json.loads(gzip.decompress((KEYS / "lion_flant5xl.json.gz").read_bytes()))
    trained = {key for key, one in entries.items() if one["trainable"] and int(stage[-1]) in one["stages"]}
    return {our_name(key) for key in trained}


class Memory(threading.Thread):
    """Reads this process's own memory twenty times a second; `most` in GB since the last `reset`."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most = 0.0

    def run(self) -> None:
        while True:
            lines = Path("/proc/self/status").read_text().splitlines()
            own = next(line for line in lines if line.startswith("RssAnon:"))
            self.most = max(self.most, int(own.split()[1]) * 1024 / 1e9)
            time.sleep(0.05)

    def reset(self) -> None:
        self.most = 0.0


def run_chain(folder: Path, config: LionConfig) -> None:
    """Write the start, train, and print a row for each stage. Raises: AssertionError if a stage trains other names."""
    write_start(folder / "start", config)
    with torch.device("meta"):
        model = LionForConditionalGeneration(config)
    memory = Memory()
    memory.start()
    print(f"{hardware(torch.device('cpu'))}, {commit()}")
    print("| stage | tensors trained | as released | moved | others moved | losses | minutes | own memory, GB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for recipe in recipes(folder):
        memory.reset()
        started = time.monotonic()
        train(recipe)
        minutes, most = (time.monotonic() - started) / 60, memory.most
        rows = [json.loads(line) for line in (recipe.folder / "train.jsonl").read_text().splitlines()]
        trained = {name for part in recipe.row.trainable for name, _ in model.component_parameters(part)}
        wanted, moved = golden(recipe.stage) & {name for name, _ in model.named_parameters()}, changed(recipe)
        cells = [recipe.stage, len(trained), "yes" if trained == wanted else "NO", len(moved), len(moved - wanted)]
        cells += [", ".join(f"{row['loss']:.2f}" for row in rows), f"{minutes:.1f}", f"{most:.1f}"]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
        assert trained == wanted and moved <= wanted
        if recipe.stage == "stage2":
            shutil.rmtree(folder / "start")  # nothing of it is read any more


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a new one")
    parser.add_argument("--blocks", type=int, help="blocks of every stack; all by default")
    options = parser.parse_args()
    config = LionConfig.flan_t5_xl()
    if options.blocks:
        vision, qformer, text = config.vision_config, config.qformer_config, config.text_config
        vision.num_hidden_layers, qformer.num_hidden_layers = max(options.blocks, len(config.taps)), options.blocks
        text.num_layers = text.num_decoder_layers = options.blocks
        config.taps = tuple(range(vision.num_hidden_layers, 0, -1))[: len(config.taps)]
    run_chain(options.folder, config)


if __name__ == "__main__":
    main()
