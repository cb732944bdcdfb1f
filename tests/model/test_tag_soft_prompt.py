"""The tag soft prompt: one vector at one slot; rows without a slot stay as they were."""

import torch

from lion.model.tag_soft_prompt import TagSoftPrompt


def test_the_vector_takes_its_slot_and_nothing_else():
    prompt = TagSoftPrompt(4, token_id=9)
    torch.nn.init.constant_(prompt.vector, 2.0)
    embeddings = torch.randn(2, 3, 4)
    changed = prompt(embeddings, torch.tensor([[1, 9, 3], [1, 2, 3]]))
    assert (changed[0, 1] == 2).all()
    assert torch.equal(changed[0, [0, 2]], embeddings[0, [0, 2]]) and torch.equal(changed[1], embeddings[1])


def test_it_joins_half_precision_and_has_a_gradient():
    prompt = TagSoftPrompt(4, token_id=9)
    changed = prompt(torch.randn(1, 2, 4).bfloat16(), torch.tensor([[9, 1]]))
    changed.sum().backward()
    assert changed.dtype == torch.bfloat16 and prompt.vector.grad.tolist() == [1] * 4
