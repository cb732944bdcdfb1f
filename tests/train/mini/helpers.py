"""For the tests of this folder: the settings of a run of seconds, and object tokens back to words."""

SHORT = ["steps=2", "batch_size=3", "optimizer.warmup=1", "precision=fp32", "data.0.scenes=8"]
SHORT += ["validation.every=2", "validation.samples=4"]


def words_and_box(objective, ids_7):
    """An object token's words, and its box as four texts, read back from its ids."""
    words, corners = ids_7[:3].tolist(), ids_7[3:].tolist()
    decode = objective.processor.tokenizer.decode
    return decode([i for i in words if i]), [decode([i]).strip() for i in corners if i]
