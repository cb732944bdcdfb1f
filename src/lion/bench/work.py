"""How much arithmetic and memory traffic a LION's shape asks for: its matrix products and the weights a token reads.

B pictures, P patches + CLS, Q queries, T prompt tokens, N = Q + P + T, V vision width, D language-model width.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torch import nn

from lion.model import LionConfig, LionForConditionalGeneration
from lion.nn.stem import ConvolutionalStem


@dataclass(frozen=True, slots=True)
class Product:
    """``times`` products of ``batch`` matrices (rows, inner) with as many of (inner, columns)."""

    rows: int
    inner: int
    columns: int
    times: int = 1
    batch: int = 1

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        return 2 * self.rows * self.inner * self.columns * self.batch * self.times


def flops(products: Iterable[Product]) -> int:
    """Multiplications and additions of all."""
    return sum(product.flops for product in products)


def look_products(config: LionConfig, pictures: int) -> list[Product]:
    """Vision Encoder, Vision Aggregator and MLP over so many pictures."""
    vit, aggregator = config.vision_config, config.aggregator_config
    patches, width = _patches(config), vit.hidden_size
    rows = pictures * (patches + 1)
    depth = max(config.taps)
    products = [*_stem(config, pictures)]
    products += _layer(rows, pictures, patches + 1, width, vit.num_attention_heads, vit.intermediate_size, depth)
    if config.visual_inputs != "qformer":
        blocks = len(config.taps) - 1
        heads, inner = aggregator.num_attention_heads, aggregator.intermediate_size
        products += _layer(rows, pictures, patches + 1, width, heads, inner, blocks)
        products += [Product(rows, width, width, 4 * blocks)]
        products += _attention(pictures * heads, patches + 1, patches + 1, width // heads, blocks)
        products += [Product(rows, width, 4 * width), Product(rows, 4 * width, config.text_config.d_model)]
    return products


def encode_products(config: LionConfig, pictures: int, text: int, instruction: int) -> list[Product]:
    """Q-Former, language model's encoder, and the decoder's first token, over prompts of equal length.

    Args:
        pictures: B, one prompt each.
        text: T, tokens of a prompt.
        instruction: tokens of its instruction as the Q-Former reads it.
    """
    t5, patches = config.text_config, _patches(config) + 1
    source = text + (patches if config.visual_inputs != "qformer" else 0)
    products: list[Product] = []
    if config.visual_inputs != "aggregator":
        queries = config.num_query_tokens
        source += queries
        products += _qformer(config, pictures, queries, instruction, patches)
        products += [Product(pictures * queries, config.qformer_config.hidden_size, t5.d_model)]
    width = t5.num_heads * t5.d_kv
    rows = pictures * source
    products += _t5_layer(config, rows, t5.num_layers)
    products += _attention(pictures * t5.num_heads, source, source, t5.d_kv, t5.num_layers)
    depth = t5.num_decoder_layers
    products += [Product(rows, t5.d_model, width, 2 * depth)]  # keys and values that every token attends to
    products += _t5_layer(config, pictures, depth)
    products += [Product(pictures, t5.d_model, width, depth), Product(pictures, width, t5.d_model, depth)]
    for length in (1, source):  # of itself, and of the prompt
        products += _attention(pictures * t5.num_heads, 1, length, t5.d_kv, depth)
    return [*products, Product(pictures, t5.d_model, t5.vocab_size)]


def bytes_per_token(model: LionForConditionalGeneration) -> int:
    """Bytes of weights that a single row reads for each token: decoder and output matrix.

    Without the embeddings, of which a token reads one row, and the matrices of the prompt's keys and values, which are
    multiplied once for all tokens.
    """
    decoder = model.language_model.decoder
    once = ("embed_tokens.", "EncDecAttention.k.", "EncDecAttention.v.")
    read = [p for name, p in decoder.named_parameters() if not any(part in name for part in once)]
    return sum(parameter.nbytes for parameter in [*read, model.language_model.lm_head.weight])


def _patches(config: LionConfig) -> int:
    return int((config.vision_config.image_size // config.vision_config.patch_size) ** 2)


def _stem(config: LionConfig, pictures: int) -> Iterator[Product]:
    """Pixels to patches."""
    vit = config.vision_config
    if config.patch_stem == "linear":
        yield Product(pictures * _patches(config), 3 * vit.patch_size**2, vit.hidden_size)
        return
    side = vit.image_size
    for layer in ConvolutionalStem(vit.patch_size, vit.hidden_size):
        if isinstance(layer, nn.Conv2d):
            side //= 2
            yield Product(pictures * side**2, 9 * layer.in_channels, layer.out_channels)


def _attention(batch: int, queries: int, keys: int, width: int, times: int) -> list[Product]:
    """Scores and weighted sums of ``batch`` heads."""
    return [Product(queries, width, keys, times, batch), Product(queries, keys, width, times, batch)]


def _layer(rows: int, batch: int, length: int, width: int, heads: int, inner: int, times: int) -> Iterator[Product]:
    """Self-attention and feed-forward over sequences of equal length."""
    yield Product(rows, width, width, 4 * times)
    yield from _attention(batch * heads, length, length, width // heads, times)
    yield Product(rows, width, inner, times)
    yield Product(rows, inner, width, times)


def _qformer(config: LionConfig, batch: int, queries: int, instruction: int, patches: int) -> Iterator[Product]:
    """BERT over queries and instruction; queries attend to the picture in every second layer or so, and each kind of
    token has a feed-forward of its own."""
    bert = config.qformer_config
    width, heads, depth = bert.hidden_size, bert.num_attention_heads, bert.num_hidden_layers
    length = queries + instruction
    yield from _layer(batch * length, batch, length, width, heads, bert.intermediate_size, depth)
    crossing = len(range(0, depth, bert.cross_attention_frequency))
    yield Product(batch * queries, width, width, 2 * crossing)
    yield Product(batch * patches, config.vision_config.hidden_size, width, 2 * crossing)
    yield from _attention(batch * heads, queries, patches, width // heads, crossing)


def _t5_layer(config: LionConfig, rows: int, times: int) -> Iterator[Product]:
    """Projections of self-attention, gated feed-forward and both adapters."""
    t5, bottleneck = config.text_config, config.adapter_bottleneck
    width = t5.num_heads * t5.d_kv
    yield Product(rows, t5.d_model, width, 3 * times)
    yield Product(rows, width, t5.d_model, times)
    yield Product(rows, t5.d_model, t5.d_ff, 2 * times)
    yield Product(rows, t5.d_ff, t5.d_model, times)
    yield Product(rows, t5.d_model, bottleneck, 2 * times)
    yield Product(rows, bottleneck, t5.d_model, 2 * times)
