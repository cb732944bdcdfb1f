"""A complete checkpoint of a few hundred kilobytes: LION tiny with random weights, tokenizers, tagger."""

from pathlib import Path

import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from lion.model import LionConfig, LionForConditionalGeneration, LionImageProcessor, LionProcessor
from lion.pipeline import BatchDecoder
from lion.prompts import SOFT_TOKEN, template_texts
from lion.tagging import RamConfig, RamModel, RamTagger

TAGS = ["car", "tree", "sun", "ball", "house"]
LIMIT = 128


def tokenizer(specials: list[str], ending: str) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer of at most 512 pieces that learnt the templates; it can spell anything."""
    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    plain.train_from_iterator(
        template_texts(),
        trainers.BpeTrainer(
            vocab_size=500,
            special_tokens=specials,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    plain.post_processor = processors.TemplateProcessing(
        single=f"$A {ending}", special_tokens=[(ending, plain.token_to_id(ending))]
    )
    return PreTrainedTokenizerFast(tokenizer_object=plain, pad_token=specials[0], eos_token=ending)


def processor() -> LionProcessor:
    """Tokenizers of both languages and the 56-pixel image processor of tiny."""
    text, bert = tokenizer(["<pad>", "</s>", SOFT_TOKEN], "</s>"), tokenizer(["[PAD]", "[SEP]"], "[SEP]")
    return LionProcessor(LionImageProcessor(image_size=56), text, bert, max_text_tokens=LIMIT, box_decimals=2)


def model(processor: LionProcessor) -> LionForConditionalGeneration:
    """Random weights that the question, the picture and the task level all reach."""
    torch.manual_seed(0)
    lion = LionForConditionalGeneration(
        LionConfig.tiny(soft_prompt_token_id=processor.tokenizer.convert_tokens_to_ids(SOFT_TOKEN))
    )
    with torch.no_grad():
        for name, parameter in lion.named_parameters():
            if name.endswith(("up.weight", "output.weight")):  # published start values are zero: nothing would show
                parameter.normal_(std=0.3)
    return lion.eval()


class Says(BatchDecoder):
    """Writes a text whatever it is asked: random weights do not write boxes."""

    def __init__(self, processor: LionProcessor, text: str) -> None:
        self.ids = processor.tokenizer(text)["input_ids"]

    def generate(self, prompts, vision, preset):
        return [self.ids] * len(prompts)

    def score(self, prompts, vision):
        raise NotImplementedError


def tagger() -> RamTagger:
    """A tagger with random weights that always finds a few of five tags."""
    torch.manual_seed(1)
    config = RamConfig.mini(TAGS)
    config.thresholds = [0.0, 0.0, 0.0, 1.0, 1.0]
    return RamTagger(RamModel(config))


def save_checkpoint(folder: Path) -> Path:
    """Write model, processor and tagger as lion train does."""
    pieces = processor()
    model(pieces).save_pretrained(folder)
    pieces.save_pretrained(folder)
    tagger().save_pretrained(folder / "tagger")
    return folder


def several(count: int) -> list[Image.Image]:
    """Pictures that differ."""
    return [Image.linear_gradient("L").rotate(50 * index).resize((64, 48)).convert("RGB") for index in range(count)]
