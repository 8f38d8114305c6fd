"""Models of plain PyTorch: its own layers, and weights that are transformed before they are used."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from tests.models.zoo.sizes import BATCH, CLASSES, HEADS, TOKENS, VOCABULARY, WIDTH, picture, tokens
from tests.models.zoo.specimen import Inputs, Specimen
from tests.models.zoo.truth import (
    BIAS,
    DEPTHWISE_2D,
    FIRST,
    GAIN,
    HEAD,
    IDLE,
    LINEAR,
    LINEAR_IO,
    LOW_RANK,
    NORM,
    PATCHES,
    TABLE,
    TEMPERATURE,
    UNUSED,
    Truth,
    Truths,
    gain,
    kernel,
    matrix,
    positions,
    token,
)
from widthwise.reading.parameter import ParameterUse
from widthwise.vocabulary import Role

FEATURES = 17  #: of an input that is not a token


def plain(name: str, make: Callable[[], nn.Module], feed: Callable[[], Inputs], truths: Truths) -> Specimen:
    def build() -> tuple[nn.Module, Inputs]:
        torch.manual_seed(0)
        return make(), feed()

    return Specimen(name, build, truths)


def sequence() -> Inputs:
    return (torch.randn(BATCH, TOKENS, FEATURES),)


def vector() -> Inputs:
    return (torch.randn(BATCH, FEATURES),)


def text() -> Inputs:
    return (tokens(),)


def seen() -> Inputs:
    return (picture(),)


class Between(nn.Module):
    """A module between an input layer and an output layer; only the first of several outputs is used."""

    def __init__(self, middle: nn.Module, width: int = WIDTH, out: int = WIDTH) -> None:
        super().__init__()
        self.first = nn.Linear(FEATURES, width)
        self.middle = middle
        self.last = nn.Linear(out, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        found = self.middle(self.first(x))
        return self.last(found[0] if isinstance(found, tuple) else found)


BETWEEN = {"first.weight": FIRST, "last.weight": HEAD, "*.bias": BIAS}


class SelfAttention(nn.Module):
    """Attention over itself, with a learned key and value next to those of the sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True, add_bias_kv=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x)[0]


class Decoding(nn.Module):
    """A decoder layer over a memory of the same width."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.memory = nn.Linear(FEATURES, WIDTH), nn.Linear(FEATURES, WIDTH)
        self.layer = nn.TransformerDecoderLayer(WIDTH, HEADS, 80, batch_first=True, norm_first=True)
        self.last = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layer(self.first(x), self.memory(x)))


class CrossAttention(nn.Module):
    """Attention over a memory of another width, whose key and value have their own sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(FEATURES, WIDTH)
        self.key, self.value = nn.Linear(FEATURES, 20), nn.Linear(FEATURES, 28)
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True, kdim=20, vdim=28)
        self.last = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.attention(self.query(x), self.key(x), self.value(x))[0])


class Perceptron(nn.Module):
    """Weights as bare parameters that the input is multiplied with from the left: x @ W."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(FEATURES, 24) / math.sqrt(FEATURES))
        self.middle = nn.Parameter(torch.randn(24, 40) / math.sqrt(24))
        self.shift = nn.Parameter(torch.zeros(40))
        self.last = nn.Parameter(torch.randn(40, CLASSES) / math.sqrt(40))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(torch.relu(x @ self.first) @ self.middle + self.shift) @ self.last


class Convolutions(nn.Module):
    """A network of convolutions: depthwise, grouped, transposed and plain ones."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 24, 5, padding=2)
        self.norm1 = nn.BatchNorm2d(24)
        self.depthwise = nn.Conv2d(24, 24, 3, padding=1, groups=24)
        self.pointwise = nn.Conv2d(24, 32, 1)
        self.norm2 = nn.GroupNorm(4, 32)
        self.grouped = nn.Conv2d(32, 40, 3, stride=2, groups=4)
        self.up = nn.ConvTranspose2d(40, 28, 2, stride=2)
        self.last = nn.Linear(28, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.relu(self.norm1(self.first(x)))
        h = functional.relu(self.norm2(self.pointwise(self.depthwise(h))))
        h = self.up(functional.relu(self.grouped(h)))
        return self.last(h.mean((2, 3)))


class Stacked(nn.Module):
    """A decoder whose layers lie side by side in one tensor of each kind, with a dense mixture of experts."""

    def __init__(self) -> None:
        super().__init__()
        layers, experts, inner = 3, 5, 36
        self.embed = nn.Parameter(torch.randn(VOCABULARY, WIDTH))
        self.position = nn.Parameter(torch.randn(TOKENS, WIDTH))
        self.gains = nn.Parameter(torch.ones(layers, WIDTH))
        self.routers = nn.Parameter(torch.randn(layers, WIDTH, experts) / math.sqrt(WIDTH))
        self.up = nn.Parameter(torch.randn(layers, experts, WIDTH, inner) / math.sqrt(WIDTH))
        self.down = nn.Parameter(torch.randn(layers, experts, inner, WIDTH) / math.sqrt(inner))
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed[ids] + self.position
        for gains, router, up, down in zip(self.gains, self.routers, self.up, self.down, strict=True):
            h = functional.rms_norm(x, (WIDTH,)) * gains
            share_BxTxE = torch.softmax(h @ router, -1)
            inner = torch.relu(torch.einsum("btd,edi->btei", h, up))
            x = x + torch.einsum("bte,bted->btd", share_BxTxE, torch.einsum("btei,eid->bted", inner, down))
        return functional.rms_norm(x, (WIDTH,)) @ self.embed.T * self.scale


class SparseExperts(nn.Module):
    """A mixture that picks one expert a token, each an own module; the last one is never picked."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.router = nn.Linear(WIDTH, 3, bias=False)
        self.experts = nn.ModuleList(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(3))
        self.last = nn.Linear(WIDTH, VOCABULARY, bias=False)
        with torch.no_grad():
            self.router.weight[2] = 0.0

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        share, pick = torch.softmax(self.router(x).abs(), -1).max(-1)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            rows = torch.where(pick == number)
            if len(rows[0]):
                out = out.index_put(rows, expert(x[rows]) * share[rows].unsqueeze(-1))
        return self.last(x + out)


class Transformed(nn.Module):
    """Weights on their way into a product: normed, masked, scaled, low-rank, stored in eight bits."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(FEATURES, 16, bias=False)
        self.weight_norm = parametrizations.weight_norm(nn.Linear(16, 24))
        self.spectral_norm = parametrizations.spectral_norm(nn.Linear(24, 20))
        self.orthogonal = parametrizations.orthogonal(nn.Linear(20, 20))
        self.columns = nn.Parameter(torch.randn(20, 28))
        self.column_gains = nn.Parameter(torch.randn(28))
        self.whole = nn.Parameter(torch.randn(36, 28))
        self.down = nn.Parameter(torch.randn(4, 28))
        self.up = nn.Parameter(torch.randn(36, 4))
        self.stack = nn.Parameter(torch.randn(3, 36, 36))
        self.stack_gains = nn.Parameter(torch.ones(3, 36))
        self.equalized = nn.Parameter(torch.randn(40, 36))
        self.heads_in = nn.Parameter(torch.randn(40, 6, 7))
        self.heads_out = nn.Parameter(torch.randn(6, 7, 40))
        self.branch = nn.Parameter(torch.tensor(2.0))
        self.stored = nn.Parameter(torch.randint(-9, 9, (44, 40)).float())
        self.row_scales = nn.Parameter(torch.ones(44, 1))
        self.mixture = nn.Parameter(torch.randn(3))
        self.last = nn.Parameter(torch.randn(10, 44))
        self.forgotten = nn.Parameter(torch.randn(3, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.orthogonal(self.spectral_norm(self.weight_norm(self.first(x))))
        x = x @ (self.columns * torch.tanh(self.column_gains))
        x = functional.linear(x, self.whole + 2.0 * (self.up @ self.down))
        for matrix_, gains in zip(self.stack, self.stack_gains, strict=True):
            x = x + torch.relu(functional.rms_norm(x, (36,)) * gains) @ matrix_.T
        x = functional.linear(x.bfloat16(), (self.equalized * (1 / 6)).bfloat16()).float()
        heads = torch.einsum("btd,dhk->bthk", x, self.heads_in)
        x = x + torch.einsum("bthk,hkd->btd", heads, self.heads_out) * self.branch
        x = functional.linear(x, self.stored * self.row_scales)
        x = x * torch.softmax(self.mixture, 0)[0]
        return functional.linear(x, self.last) / 44


class HandmadeLora(nn.Module):
    """A low-rank pair of factors next to a frozen weight, on the way of the data."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.frozen = nn.Linear(WIDTH, 64).requires_grad_(False)
        self.down = nn.Linear(WIDTH, 4, bias=False)
        self.up = nn.Linear(4, 64, bias=False)
        self.last = nn.Linear(64, VOCABULARY)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        return self.last(torch.relu(self.frozen(x) + 2.0 * self.up(self.down(x))))


class Graph(nn.Module):
    """Messages along the edges of a graph, with a gate from one vector and a table of relations."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes = nn.Embedding(9, 16)
        self.messages = nn.ParameterList([nn.Parameter(torch.randn(16, 16) / 4) for _ in range(2)])
        self.own = nn.ModuleList([nn.Linear(16, 16) for _ in range(2)])
        self.attention = nn.Parameter(torch.randn(16))
        self.relations = nn.Parameter(torch.randn(5, 16))
        self.last = nn.Linear(16, CLASSES)

    def forward(self, nodes: Tensor, source: Tensor, target: Tensor, relation: Tensor) -> Tensor:
        h = self.nodes(nodes)
        for message, own in zip(self.messages, self.own, strict=True):
            sent = (h[source] * self.relations[relation]) @ message
            sent = sent * torch.sigmoid((sent * self.attention).sum(-1, keepdim=True))
            h = h + torch.relu(own(h) + torch.zeros_like(h).index_add(0, target, sent))
        return self.last(h.mean(0))


def graph() -> Inputs:
    draw = torch.Generator().manual_seed(0)
    nodes, edges = 10, 30
    return tuple(
        torch.randint(0, high, (count,), generator=draw)
        for high, count in ((9, nodes), (nodes, edges), (nodes, edges), (5, edges))
    )


class Perception(nn.Module):
    """A small vision transformer by hand: a token, positions, attention by scaled_dot_product_attention."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 8, 8, bias=False)
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.positions = nn.Parameter(torch.randn(1, 17, WIDTH))
        self.norm = nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * 64, bias=False)
        self.out = nn.Linear(64, WIDTH, bias=False)
        self.last = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, HEADS, 16)).permute(2, 0, 3, 1, 4)
        x = x + self.out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return self.last(x[:, 0])


RECURRENT = {"*.weight_ih_*": LINEAR, "*.weight_hh_*": LINEAR, "*.bias_*": BIAS, **BETWEEN}
ENCODER = {
    **NORM,
    "*.in_proj_weight": LINEAR,
    "*.in_proj_bias": BIAS,
    "first.weight": FIRST,
    "last.weight": HEAD,
    "*.weight": LINEAR,
    "*.bias": BIAS,
}
TRANSFORMED = {
    "first.weight": FIRST,
    "*.original0": gain("os"),
    "*.original1": LINEAR,
    "*.original": LINEAR,
    "columns": LINEAR_IO,
    "column_gains": GAIN,
    "whole": LINEAR,
    "down": LOW_RANK,
    "up": LOW_RANK,
    "stack": matrix("soi"),
    "stack_gains": gain("so"),
    "equalized": LINEAR,
    "heads_in": matrix("ioo"),
    "heads_out": matrix("iio"),
    "branch": TEMPERATURE,
    "stored": LINEAR,
    "row_scales": gain("os"),
    "mixture": Truth(ParameterUse.GAIN, Role.VECTOR, "s"),
    "last": HEAD,
    "forgotten": UNUSED,
    "*.bias": BIAS,
}

PLAIN = (
    plain(
        "nn.TransformerEncoder",
        lambda: Between(nn.TransformerEncoder(nn.TransformerEncoderLayer(WIDTH, HEADS, 80, batch_first=True), 2)),
        sequence,
        ENCODER,
    ),
    plain(
        "nn.TransformerDecoderLayer",
        Decoding,
        sequence,
        {"memory.weight": FIRST, **ENCODER},
    ),
    plain(
        "nn.MultiheadAttention",
        lambda: Between(SelfAttention()),
        sequence,
        {
            "*.in_proj_weight": LINEAR,
            "*.in_proj_bias": BIAS,
            "*.bias_?": token("sso"),
            "*.out_proj.weight": LINEAR,
            **BETWEEN,
        },
    ),
    plain(
        "nn.MultiheadAttention across",
        CrossAttention,
        sequence,
        {
            "query.weight": FIRST,
            "key.weight": FIRST,
            "value.weight": FIRST,
            "last.weight": HEAD,
            "*_proj_weight": LINEAR,
            "*.out_proj.weight": LINEAR,
            "*bias": BIAS,
        },
    ),
    plain(
        "nn.LSTM",
        lambda: Between(nn.LSTM(WIDTH, 24, 2, batch_first=True, bidirectional=True)),
        sequence,
        RECURRENT,
    ),
    plain(
        "nn.LSTM projected",
        lambda: Between(nn.LSTM(WIDTH, 24, 2, batch_first=True, proj_size=10), out=10),
        sequence,
        {"*.weight_hr_*": LINEAR, **RECURRENT},
    ),
    plain("nn.GRU", lambda: Between(nn.GRU(WIDTH, 24, 2, batch_first=True), out=24), sequence, RECURRENT),
    plain("nn.RNN", lambda: Between(nn.RNN(WIDTH, 24, batch_first=True), out=24), sequence, RECURRENT),
    plain(
        "perceptron",
        Perceptron,
        vector,
        {
            "first": matrix("io", Role.EMBEDDING),
            "middle": LINEAR_IO,
            "shift": BIAS,
            "last": matrix("io", Role.READOUT),
        },
    ),
    plain(
        "convolutions",
        Convolutions,
        seen,
        {
            "first.weight": PATCHES,
            **NORM,
            "depthwise.weight": DEPTHWISE_2D,
            "pointwise.weight": kernel(),
            "grouped.weight": kernel(),
            "up.weight": kernel("ioii"),
            "last.weight": HEAD,
            "*.bias": BIAS,
        },
    ),
    plain(
        "stacked decoder",
        Stacked,
        text,
        {
            "embed": TABLE.tied(HEAD),
            "position": positions("so"),
            "gains": gain("so"),
            "routers": matrix("sio"),
            "up": matrix("ssio"),
            "down": matrix("ssio"),
            "scale": TEMPERATURE,
        },
    ),
    plain(
        "sparse experts",
        SparseExperts,
        text,
        {"embed.weight": TABLE, "last.weight": HEAD, "experts.2.weight": IDLE, "*.weight": LINEAR},
    ),
    plain("transformed weights", Transformed, sequence, TRANSFORMED),
    plain(
        "low-rank adapter",
        HandmadeLora,
        text,
        {
            "embed.weight": TABLE,
            "frozen.weight": LINEAR,
            "down.weight": LOW_RANK,
            "up.weight": LOW_RANK,
            "last.weight": HEAD,
            "*.bias": BIAS,
        },
    ),
    plain(
        "graph",
        Graph,
        graph,
        {
            "nodes.weight": TABLE,
            "messages.*": LINEAR_IO,
            "own.*.weight": LINEAR,
            "attention": matrix("i"),
            "relations": TABLE,
            "last.weight": HEAD,
            "*.bias": BIAS,
        },
    ),
    plain(
        "small vision transformer",
        Perception,
        seen,
        {
            "patches.weight": PATCHES,
            "token": token("sso"),
            "positions": positions("sso"),
            **NORM,
            "qkv.weight": LINEAR,
            "out.weight": LINEAR,
            "last.weight": HEAD,
            "last.bias": BIAS,
        },
    ),
)
