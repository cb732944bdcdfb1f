"""A hash of all that shapes a pipeline's answers but decoding: what resumed work has to share with its beginning."""

import hashlib
import json

from lion.pipeline.pipeline import LionPipeline
from lion.provenance import update_with_tensors
from lion.tagging import RamTagger, TagFile


def model_fingerprint(pipeline: LionPipeline, max_prompt_tokens: int) -> str:
    """32 hex digits of a model's weights, precision, preprocessing and tagger."""
    config, processor, tagger = pipeline.model.config, pipeline.processor, pipeline.tagger
    settings = [config.taps, config.visual_inputs, config.patch_stem, max_prompt_tokens, processor.box_decimals]
    settings.append(processor.image_processor.image_size)
    if changed := processor.image_processor.changed():
        settings.append(changed)
    digest = hashlib.blake2b(json.dumps(settings).encode(), digest_size=16)
    update_with_tensors(digest, pipeline.model.state_dict())
    if isinstance(tagger, RamTagger | TagFile):
        digest.update(tagger.fingerprint.encode())
    if isinstance(tagger, RamTagger):
        digest.update(json.dumps([tagger.policy.to_dict(), tagger.thresholds.tolist()]).encode())
    return digest.hexdigest()
