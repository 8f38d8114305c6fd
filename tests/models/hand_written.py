"""The tensors of twelve architectures, written out as someone who knows their code would write them.

Nothing here comes from a reading. Matrices of PyTorch are [out, in], so that the layout "out_in" says of most what
their axes are. A role is stated if shapes leave it open: a table, a readout, and what keeps one size or both. Axes
are stated for more than two, and for the matrices of GPT-2, which are [in, out].
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from widthwise import Tensor

VOCABULARY, POSITIONS, TYPES, LABELS = 97, 32, 2, 5
PICTURE, PATCH, CHANNELS = 32, 8, 3
EXPERTS, SHARED = 5, 2
QUERY_RANK, KEY_RANK, ROTATED = 24, 20, 8  # of DeepSeek's latent attention, at every width


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What differs between a base and its target; all other numbers of an architecture stay."""

    width: int
    depth: int
    heads: int
    key_heads: int
    head_dim: int
    inner: int  #: of the feed-forward part
    expert: int = 36  #: of one expert's feed-forward part
    attention_scale: float | None = None  #: None: 1/√head_dim

    @property
    def queries(self) -> int:
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        return self.key_heads * self.head_dim


class Line(NamedTuple):
    """One parameter at one size, and what is stated of it."""

    name: str
    shape: tuple[int, ...]
    stated: dict[str, Any]


Listing = Callable[[Sizes, int], Iterator[Line]]


def tensors(listing: Listing, base: Sizes, target: Sizes) -> list[Tensor]:
    """The tensors of a transfer. An extra layer of the target starts from the shapes that the base's layers have."""
    pairs = zip(listing(base, target.depth), listing(target, target.depth), strict=True)
    return [Tensor(ours.name, ours.shape, theirs.shape, **theirs.stated) for ours, theirs in pairs]


def line(name: str, *shape: int, **stated: Any) -> Line:
    return Line(name, shape, stated)


def gain(name: str, *shape: int, **stated: Any) -> Line:
    """A gain or a bias, from which decay is kept away; also a learned token and a table of positions."""
    return Line(name, shape, {"decayed": False, **stated})


def layer_norm(path: str, size: int) -> Iterator[Line]:
    yield gain(f"{path}.weight", size)
    yield gain(f"{path}.bias", size)


def biased(path: str, *shape: int) -> Iterator[Line]:
    """A matrix [out, in] with its bias."""
    yield line(f"{path}.weight", *shape)
    yield gain(f"{path}.bias", shape[0])


def conv1d(path: str, fan_in: int, fan_out: int) -> Iterator[Line]:
    """GPT-2's matrix [in, out] with its bias."""
    yield line(f"{path}.weight", fan_in, fan_out, fan_in_axes=[0], fan_out_axes=[1])
    yield gain(f"{path}.bias", fan_out)


def table(name: str, entries: int, width: int) -> Line:
    return line(name, entries, width, role="embedding")


def head(width: int, **tie: str) -> Line:
    return line("lm_head.weight", VOCABULARY, width, role="readout", **tie)


def decoder(n: Sizes, layers: Callable[[str], Iterator[Line]], depth: int, **tie: str) -> Iterator[Line]:
    """A table, layers, a last norm and a head, as Llama names them."""
    yield table("model.embed_tokens.weight", VOCABULARY, n.width)
    for index in range(depth):
        yield from layers(f"model.layers.{index}")
    yield gain("model.norm.weight", n.width)
    yield head(n.width, **tie)


def attention(n: Sizes, path: str) -> Iterator[Line]:
    """Keys and values may keep their size, which looks like a readout's."""
    yield line(f"{path}.self_attn.q_proj.weight", n.queries, n.width)
    yield line(f"{path}.self_attn.k_proj.weight", n.keys, n.width, role="hidden")
    yield line(f"{path}.self_attn.v_proj.weight", n.keys, n.width, role="hidden")
    yield line(f"{path}.self_attn.o_proj.weight", n.width, n.queries)


def gated(n: Sizes, path: str, inner: int) -> Iterator[Line]:
    yield line(f"{path}.gate_proj.weight", inner, n.width)
    yield line(f"{path}.up_proj.weight", inner, n.width)
    yield line(f"{path}.down_proj.weight", n.width, inner)


def norms(n: Sizes, path: str, *names: str) -> Iterator[Line]:
    for name in names:
        yield gain(f"{path}.{name}.weight", n.width)


def experts(n: Sizes, path: str, inner: int) -> Iterator[Line]:
    """A router to a fixed number of experts, and the experts stacked along axis 0."""
    yield line(f"{path}.gate.weight", EXPERTS, n.width, role="hidden")
    stacked = {"fan_in_axes": [2], "fan_out_axes": [1]}
    yield line(f"{path}.experts.gate_up_proj", EXPERTS, 2 * inner, n.width, **stacked)
    yield line(f"{path}.experts.down_proj", EXPERTS, n.width, inner, **stacked)


def llama(n: Sizes, depth: int) -> Iterator[Line]:
    def layer(path: str) -> Iterator[Line]:
        yield from attention(n, path)
        yield from gated(n, f"{path}.mlp", n.inner)
        yield from norms(n, path, "input_layernorm", "post_attention_layernorm")

    return decoder(n, layer, depth)


def qwen2(n: Sizes, depth: int) -> Iterator[Line]:
    """As Llama, with biases on queries, keys and values, and the head tied to the table."""

    def layer(path: str) -> Iterator[Line]:
        yield from attention(n, path)
        yield gain(f"{path}.self_attn.q_proj.bias", n.queries)
        yield gain(f"{path}.self_attn.k_proj.bias", n.keys)
        yield gain(f"{path}.self_attn.v_proj.bias", n.keys)
        yield from gated(n, f"{path}.mlp", n.inner)
        yield from norms(n, path, "input_layernorm", "post_attention_layernorm")

    return decoder(n, layer, depth, tied_to="model.embed_tokens.weight")


def qwen3(n: Sizes, depth: int) -> Iterator[Line]:
    """As Llama, with a norm over the entries of each head."""

    def layer(path: str) -> Iterator[Line]:
        yield from attention(n, path)
        yield gain(f"{path}.self_attn.q_norm.weight", n.head_dim, role="vector")
        yield gain(f"{path}.self_attn.k_norm.weight", n.head_dim, role="vector")
        yield from gated(n, f"{path}.mlp", n.inner)
        yield from norms(n, path, "input_layernorm", "post_attention_layernorm")

    return decoder(n, layer, depth)


def mixtral(n: Sizes, depth: int) -> Iterator[Line]:
    def layer(path: str) -> Iterator[Line]:
        yield from attention(n, path)
        yield from experts(n, f"{path}.mlp", n.inner)
        yield from norms(n, path, "input_layernorm", "post_attention_layernorm")

    return decoder(n, layer, depth)


def gemma2(n: Sizes, depth: int) -> Iterator[Line]:
    """Two norms around each branch, and a tied head."""

    def layer(path: str) -> Iterator[Line]:
        yield from attention(n, path)
        yield from gated(n, f"{path}.mlp", n.inner)
        yield from norms(n, path, "input_layernorm", "post_attention_layernorm")
        yield from norms(n, path, "pre_feedforward_layernorm", "post_feedforward_layernorm")

    return decoder(n, layer, depth, tied_to="model.embed_tokens.weight")


def phi3(n: Sizes, depth: int) -> Iterator[Line]:
    """Queries, keys and values in one matrix, whose output is a size that nothing else has; gate and up in another."""

    def layer(path: str) -> Iterator[Line]:
        yield line(f"{path}.self_attn.qkv_proj.weight", n.queries + 2 * n.keys, n.width, role="hidden")
        yield line(f"{path}.self_attn.o_proj.weight", n.width, n.queries)
        yield line(f"{path}.mlp.gate_up_proj.weight", 2 * n.inner, n.width, role="hidden")
        yield line(f"{path}.mlp.down_proj.weight", n.width, n.inner)
        yield from norms(n, path, "input_layernorm", "post_attention_layernorm")

    return decoder(n, layer, depth)


def olmo2(n: Sizes, depth: int) -> Iterator[Line]:
    """Norms after each branch, and over all queries and all keys at once."""

    def layer(path: str) -> Iterator[Line]:
        yield from attention(n, path)
        yield gain(f"{path}.self_attn.q_norm.weight", n.queries)
        yield gain(f"{path}.self_attn.k_norm.weight", n.keys)
        yield from gated(n, f"{path}.mlp", n.inner)
        yield from norms(n, path, "post_attention_layernorm", "post_feedforward_layernorm")

    return decoder(n, layer, depth)


def deepseek_v3(n: Sizes, depth: int) -> Iterator[Line]:
    """Latent attention of constant ranks; the first layer is dense, all others have experts and shared ones.

    head_dim counts the entries of a query: those without rotation, then the rotated ones. A value has as many entries
    as a query has without rotation.
    """
    plain = n.head_dim - ROTATED

    def layer(path: str) -> Iterator[Line]:
        latent = f"{path}.self_attn"
        yield line(f"{latent}.q_a_proj.weight", QUERY_RANK, n.width, role="hidden")
        yield gain(f"{latent}.q_a_layernorm.weight", QUERY_RANK, role="vector")
        yield line(f"{latent}.q_b_proj.weight", n.queries, QUERY_RANK, role="hidden")
        yield line(f"{latent}.kv_a_proj_with_mqa.weight", KEY_RANK + ROTATED, n.width, role="hidden")
        yield gain(f"{latent}.kv_a_layernorm.weight", KEY_RANK, role="vector")
        yield line(f"{latent}.kv_b_proj.weight", n.heads * 2 * plain, KEY_RANK, role="hidden")
        yield line(f"{latent}.o_proj.weight", n.width, n.heads * plain)
        if path.endswith(".0"):
            yield from gated(n, f"{path}.mlp", n.inner)
        else:
            yield from experts(n, f"{path}.mlp", n.expert)
            yield from gated(n, f"{path}.mlp.shared_experts", SHARED * n.expert)
        yield from norms(n, path, "input_layernorm", "post_attention_layernorm")

    return decoder(n, layer, depth)


def gpt2(n: Sizes, depth: int) -> Iterator[Line]:
    yield table("transformer.wte.weight", VOCABULARY, n.width)
    yield gain("transformer.wpe.weight", POSITIONS, n.width, role="embedding")
    for path in (f"transformer.h.{index}" for index in range(depth)):
        yield from layer_norm(f"{path}.ln_1", n.width)
        yield from conv1d(f"{path}.attn.c_attn", n.width, 3 * n.width)
        yield from conv1d(f"{path}.attn.c_proj", n.width, n.width)
        yield from layer_norm(f"{path}.ln_2", n.width)
        yield from conv1d(f"{path}.mlp.c_fc", n.width, n.inner)
        yield from conv1d(f"{path}.mlp.c_proj", n.inner, n.width)
    yield from layer_norm("transformer.ln_f", n.width)
    yield head(n.width, tied_to="transformer.wte.weight")


def gpt_neox(n: Sizes, depth: int) -> Iterator[Line]:
    yield table("gpt_neox.embed_in.weight", VOCABULARY, n.width)
    for path in (f"gpt_neox.layers.{index}" for index in range(depth)):
        yield from layer_norm(f"{path}.input_layernorm", n.width)
        yield from layer_norm(f"{path}.post_attention_layernorm", n.width)
        yield from biased(f"{path}.attention.query_key_value", 3 * n.width, n.width)
        yield from biased(f"{path}.attention.dense", n.width, n.width)
        yield from biased(f"{path}.mlp.dense_h_to_4h", n.inner, n.width)
        yield from biased(f"{path}.mlp.dense_4h_to_h", n.width, n.inner)
    yield from layer_norm("gpt_neox.final_layer_norm", n.width)
    yield head(n.width)


def bert(n: Sizes, depth: int) -> Iterator[Line]:
    """With its head for masked words, whose matrix and bias are each used under two names."""
    embeddings, prediction = "bert.embeddings", "cls.predictions"
    yield table(f"{embeddings}.word_embeddings.weight", VOCABULARY, n.width)
    yield gain(f"{embeddings}.position_embeddings.weight", POSITIONS, n.width, role="embedding")
    yield table(f"{embeddings}.token_type_embeddings.weight", TYPES, n.width)
    yield from layer_norm(f"{embeddings}.LayerNorm", n.width)
    for path in (f"bert.encoder.layer.{index}" for index in range(depth)):
        for each in ("query", "key", "value"):
            yield from biased(f"{path}.attention.self.{each}", n.width, n.width)
        yield from biased(f"{path}.attention.output.dense", n.width, n.width)
        yield from layer_norm(f"{path}.attention.output.LayerNorm", n.width)
        yield from biased(f"{path}.intermediate.dense", n.inner, n.width)
        yield from biased(f"{path}.output.dense", n.width, n.inner)
        yield from layer_norm(f"{path}.output.LayerNorm", n.width)
    yield gain(f"{prediction}.bias", VOCABULARY, role="vector")
    yield from biased(f"{prediction}.transform.dense", n.width, n.width)
    yield from layer_norm(f"{prediction}.transform.LayerNorm", n.width)
    decoder = {"role": "readout", "tied_to": f"{embeddings}.word_embeddings.weight"}
    yield line(f"{prediction}.decoder.weight", VOCABULARY, n.width, **decoder)


def vit(n: Sizes, depth: int) -> Iterator[Line]:
    """With its head for classes; a convolution turns each patch into one token."""
    embeddings = "vit.embeddings"
    yield gain(f"{embeddings}.cls_token", 1, 1, n.width, role="vector")
    yield gain(f"{embeddings}.position_embeddings", 1, (PICTURE // PATCH) ** 2 + 1, n.width, role="vector")
    patch = {"fan_in_axes": [1, 2, 3], "fan_out_axes": [0]}
    yield line(f"{embeddings}.patch_embeddings.projection.weight", n.width, CHANNELS, PATCH, PATCH, **patch)
    yield gain(f"{embeddings}.patch_embeddings.projection.bias", n.width)
    for path in (f"vit.layers.{index}" for index in range(depth)):
        for each in ("q_proj", "k_proj", "v_proj", "o_proj"):
            yield from biased(f"{path}.attention.{each}", n.width, n.width)
        yield from layer_norm(f"{path}.layernorm_before", n.width)
        yield from layer_norm(f"{path}.layernorm_after", n.width)
        yield from biased(f"{path}.mlp.fc1", n.inner, n.width)
        yield from biased(f"{path}.mlp.fc2", n.width, n.inner)
    yield from layer_norm("vit.layernorm", n.width)
    yield line("classifier.weight", LABELS, n.width, role="readout")
    yield gain("classifier.bias", LABELS, role="vector")
