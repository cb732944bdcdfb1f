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
    folders = recipe.init_folders
    for part in ("model", "language_model"):
        if part in folders and (folders[part] / "processor_config.json").is_file():
            return load_processor(folders[part], str(folders[part]))
    if "model" in folders:
        raise LionError(f"{folders['model']} holds no processor; save one beside the model")
    processor: LionProcessor = resolve(PRESET_PROCESSOR)(recipe.model)
    return processor


def build_model(recipe: Recipe, processor: LionProcessor) -> LionForConditionalGeneration:
    """The model of `init.model`, or a fresh one, with the parts of `init`. Raises: LionError if weights do not fit."""
    folders = recipe.init_folders
    if whole := folders.get("model"):
        model = load_model(whole, str(whole), torch.float32)
    else:
        model = resolve(PRESET_MODEL)(recipe.model, processor)
    model.config.visual_inputs = recipe.row.visual_inputs
    for part, folder in folders.items():
        if part not in ("model", "tagger"):
            load_part(model, part, folder)
    return model
