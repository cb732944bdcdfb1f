"""Models from scratch: the names there are, and the start of the queries."""

import pytest
import torch

from lion.errors import LionError
from lion.model.vision_encoder import sincos_positions
from lion.train.presets import preset_model, world_processor


def test_queries_start_as_a_grid_where_they_form_one():
    queries = preset_model("mini", world_processor("mini")).qformer.queries
    assert torch.equal(queries[0], sincos_positions(8, 128, 4)) and queries.requires_grad
    tiny = preset_model("tiny", world_processor("tiny"))  # 8 queries form no square
    assert float(tiny.qformer.queries.detach().std()) == pytest.approx(tiny.config.initializer_range, rel=0.3)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(LionError, match=r"model: 'huge' cannot be built from nothing \(mini, tiny can\)"):
        world_processor("huge")
