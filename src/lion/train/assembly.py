"""The LION model that a recipe starts from, and the processor that goes with it."""

import torch

from lion.checkpoints.loading import load_model, load_processor
from lion.checkpoints.parts import load_part
from lion.errors import LionError
from lion.model import LionForConditionalGeneration, LionProcessor
from lion.train.recipe.schema import Recipe
from lion.train.stages import PRESET_MODEL, PRESET_PROCESSOR, resolve


def find_processor(recipe: Recipe) -> LionProcessor:
    """The processor in the folder of the model or of its language model; the drawn world's for a model from scratch.

    Raises: LionError if the folder of `init.model` holds none, or a damaged one.
    """
    for part in ("model", "language_model"):
        folder = recipe.init_folder(part)
        if folder is not None and (folder / "processor_config.json").is_file():
            return load_processor(folder, str(folder))
    if recipe.init_folder("model") is not None:
        raise LionError(f"{recipe.init_folder('model')} holds no processor; save one beside the model")
    processor: LionProcessor = resolve(PRESET_PROCESSOR)(recipe.model)
    return processor


def build_model(recipe: Recipe, processor: LionProcessor) -> LionForConditionalGeneration:
    """The whole model of `init.model`, or a fresh one of the preset; then the parts that `init` names.

    Raises: LionError if a folder's weights do not fit.
    """
    if (whole := recipe.init_folder("model")) is not None:
        model = load_model(whole, str(whole), torch.float32)
    else:
        model = resolve(PRESET_MODEL)(recipe.model, processor)
    model.config.visual_inputs = recipe.row.visual_inputs
    for part in recipe.init:
        folder = recipe.init_folder(part)
        if part not in ("model", "tagger") and folder is not None:
            load_part(model, part, folder)
    return model
