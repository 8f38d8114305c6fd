"""The attention of a transformer's block as an outline."""

from collections.abc import Mapping
from dataclasses import dataclass

from widthwise.fields import Fields
from widthwise.reading.configs.outline import NOTHING, Outline, together
from widthwise.reading.configs.weights import linear, norm
from widthwise.reading.model import Attention
from widthwise.reading.parameter import Feeds

LARGEST_COUNT = 4096  # chosen: of heads, beyond any model; each may be listed by itself

#: The projections in the order in which the module has them.
QUERY_FIRST = {"q_proj": Feeds.QUERY, "k_proj": Feeds.KEY, "v_proj": Feeds.VALUE}
KEY_FIRST = {"k_proj": Feeds.KEY, "v_proj": Feeds.VALUE, "q_proj": Feeds.QUERY}


@dataclass(frozen=True, slots=True)
class Heads:
    """How many heads an attention has, and of which size."""

    width: int  #: of the residual stream
    count: int  #: of queries
    key_count: int  #: of keys and values
    size: int

    @classmethod
    def of(cls, config: Fields, *, width: str = "hidden_size", count: str = "num_attention_heads") -> "Heads":
        """Return the heads that a config states; a head's size is width / heads if it is not there."""
        stream, heads = config.integer(width), config.integer(count, high=LARGEST_COUNT)
        keys = config.integer("num_key_value_heads", high=LARGEST_COUNT) if config.has("num_key_value_heads") else heads
        if heads % keys:
            raise config.error("num_key_value_heads", f"is {keys}; give a divisor of the {heads} heads of queries")
        if config.has("head_dim"):
            return cls(stream, heads, keys, config.integer("head_dim"))
        if stream % heads:
            raise config.error(count, f"is {heads}; give a divisor of {width}, which is {stream}, or give head_dim")
        return cls(stream, heads, keys, stream // heads)

    @property
    def query_size(self) -> int:
        """Size of all queries together."""
        return self.count * self.size

    @property
    def key_size(self) -> int:
        """Size of all keys together, and of all values."""
        return self.key_count * self.size


def scores(
    head_dim: int, *, where: str = "", scale: float | None = None, normalized: bool = False, soft_cap: bool = False
) -> Outline:
    """Return one attention: softmax(scale × query·key). scale: head_dim^−½ if None."""
    return Outline(
        attentions=(Attention(where, 1, head_dim, head_dim**-0.5 if scale is None else scale, normalized, soft_cap),)
    )


def attention(
    heads: Heads,
    *,
    names: Mapping[str, Feeds] = QUERY_FIRST,
    where: str = "",
    out: str = "o_proj",
    bias: bool = False,
    key_bias: bool | None = None,
    out_bias: bool | None = None,
    scale: float | None = None,
    norm_sizes: tuple[int, int] | None = None,
    soft_cap: bool = False,
) -> Outline:
    """Return an attention with a matrix each for queries, keys, values and output.

    where: the path of the module that multiplies queries and keys, if it holds them alone. bias: of all four, except
    that key_bias and out_bias replace it where they are stated. norm_sizes: of the gains of the norms of queries and
    keys (QK-norm).
    """
    sizes = {Feeds.QUERY: heads.query_size, Feeds.KEY: heads.key_size, Feeds.VALUE: heads.key_size}
    biased = {Feeds.KEY: bias if key_bias is None else key_bias}
    return together(
        scores(heads.size, where=where, scale=scale, normalized=norm_sizes is not None, soft_cap=soft_cap),
        *(
            linear(name, heads.width, sizes[feeds], bias=biased.get(feeds, bias), feeds=feeds)
            for name, feeds in names.items()
        ),
        linear(out, heads.query_size, heads.width, bias=bias if out_bias is None else out_bias),
        *((norm("q_norm", norm_sizes[0]), norm("k_norm", norm_sizes[1])) if norm_sizes else (NOTHING,)),
    )
