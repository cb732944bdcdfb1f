"""A checkpoint with the released LION's names, shapes and types and random numbers, streamed to disk.

    python -m tools.synthetic_checkpoint xl OUT
    python -m tools.synthetic_checkpoint xxl OUT --learnable

writes OUT/lion.pth (8.8 GB for XL, 25.6 GB for XXL; 1.1 and 1.3 GB with --learnable), and OUT/llm and OUT/bert with
tokenizers of the right sizes. The file is laid out first and its numbers are drawn in place, so that the process's own
memory stays small whatever the size.
"""

import argparse
import gzip
import json
import mmap
import string
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import PreTrainedTokenizerFast

from tests.golden.fill import SKIP, rule

KEYS = Path(__file__).parents[1] / "tests" / "golden" / "keys_full"
CHARACTERS = string.ascii_letters + string.digits + string.punctuation


def released_keys(size: str, learnable: bool) -> dict[str, dict[str, Any]]:
    """Name to shape and type of every tensor; only what the released trainer keeps of it if ``learnable``."""
    entries = json.loads(gzip.decompress((KEYS / f"lion_flant5{size}.json.gz").read_bytes()))
    kept = ("alias_of", "buffer")  # the trainer drops frozen parameters, and a tied copy or a buffer is none
    return {
        name: entry
        for name, entry in entries.items()
        if not learnable or entry["trainable"] or any(kind in entry for kind in kept)
    }


def write_checkpoint(path: Path, entries: Mapping[str, Mapping[str, Any]], seed: int = 0) -> None:
    """Lay the file out with no numbers in it, map it into memory and draw them in place."""
    with FakeTensorMode():
        weights: dict[str, torch.Tensor] = {}
        for name, entry in entries.items():
            known = weights.get(entry.get("alias_of", ""))
            dtype = getattr(torch, entry.get("dtype", "int64" if "buffer" in entry else "float32"))
            weights[name] = torch.empty(entry["shape"], dtype=dtype) if known is None else known
        with torch.serialization.skip_data(materialize_fake_tensors=True):
            torch.save({"model": weights}, path)
    with torch.serialization.set_default_mmap_options(mmap.MAP_SHARED):
        mapped = torch.load(path, mmap=True, weights_only=True)["model"]
    generator = torch.Generator().manual_seed(seed)
    drawn: set[int] = set()
    for name, tensor in mapped.items():
        if SKIP.search(name):
            tensor.copy_(torch.arange(tensor.numel()).view(tensor.shape))
        elif tensor.data_ptr() not in drawn:  # a tied copy is drawn with the tensor it copies
            mean, std = rule(name, tuple(tensor.shape))
            tensor.normal_(mean, std, generator=generator)
            drawn.add(tensor.data_ptr())


def write_t5_tokenizer(folder: Path) -> None:
    """32,100 pieces as FLAN-T5's: <pad>, </s>, <unk>, characters, fillers, and <extra_id_0> as the last one, 32099."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((one, -4.0) for one in CHARACTERS)]
    pieces += [(f"▁filler{number}", -20.0) for number in range(32000 - len(pieces))]
    pieces += [(f"<extra_id_{number}>", 0.0) for number in range(99, -1, -1)]
    plain = Tokenizer(models.Unigram(pieces, unk_id=2))
    plain.pre_tokenizer = pre_tokenizers.Metaspace()
    plain.decoder = decoders.Metaspace()
    plain.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    extra = [f"<extra_id_{number}>" for number in range(100)]
    PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", additional_special_tokens=extra
    ).save_pretrained(folder)


def write_bert_tokenizer(folder: Path) -> None:
    """30,522 pieces as bert-base-uncased's; the converter adds [DEC]."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = string.ascii_lowercase + string.digits + string.punctuation
    names += [*letters, *(f"##{letter}" for letter in letters)]
    names += [f"filler{number}" for number in range(30522 - len(names))]
    plain = Tokenizer(models.WordPiece({name: number for number, name in enumerate(names)}, unk_token="[UNK]"))
    plain.normalizer = normalizers.BertNormalizer(lowercase=True)
    plain.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    plain.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", choices=["xl", "xxl"])
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--learnable", action="store_true", help="only what was trained")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    write_checkpoint(options.out / "lion.pth", released_keys(options.size, options.learnable))
    write_t5_tokenizer(options.out / "llm")
    write_bert_tokenizer(options.out / "bert")
    size = (options.out / "lion.pth").stat().st_size
    print(f"{size / 1e9:.1f} GB in {options.out} after {(time.monotonic() - begin) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
