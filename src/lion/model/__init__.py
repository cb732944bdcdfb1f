"""The LION model: configuration, network and processor, registered with transformers' Auto classes."""

import gc

_collects = gc.isenabled()
gc.disable()  # a seventh of the time of these imports, which leave a million objects and hardly any garbage
try:
    from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor

    # Not from the top level: up to transformers 5.17, the name there is a dummy without torchvision.
    from transformers.models.auto.image_processing_auto import AutoImageProcessor

    from lion.model.configuration_lion import LionConfig, VisionAggregatorConfig
    from lion.model.image_processing_lion import LionImageProcessor
    from lion.model.inputs_outputs import LionImageFeatures, LionInputs, LionOutput, VisualFeatures
    from lion.model.mixture_of_adapters import TaskLevel, level_of
    from lion.model.modeling_lion import FROZEN, TRAINABLE, LionForConditionalGeneration
    from lion.model.processing_lion import LionProcessor
finally:
    if _collects:
        gc.enable()

AutoConfig.register("lion", LionConfig, exist_ok=True)
AutoModel.register(LionConfig, LionForConditionalGeneration, exist_ok=True)
AutoModelForImageTextToText.register(LionConfig, LionForConditionalGeneration, exist_ok=True)
AutoProcessor.register(LionConfig, LionProcessor, exist_ok=True)
AutoImageProcessor.register(LionConfig, slow_image_processor_class=LionImageProcessor, exist_ok=True)

__all__ = [
    "FROZEN",
    "TRAINABLE",
    "LionConfig",
    "LionForConditionalGeneration",
    "LionImageFeatures",
    "LionImageProcessor",
    "LionInputs",
    "LionOutput",
    "LionProcessor",
    "TaskLevel",
    "VisionAggregatorConfig",
    "VisualFeatures",
    "level_of",
]
