"""The network: a GPT on bytes. `train.py` relies on `build()`, `predict.py` on `load(folder)` and on `last`."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from knobs import ACTIVATION, CONTEXT, DEPTH, DROPOUT, HEAD_WIDTH, HEADS, MLP_RATIO, PRECISION, TIED

WIDTH = HEADS * HEAD_WIDTH
ACTIVATIONS = {"relu": functional.relu, "gelu": functional.gelu, "silu": functional.silu, "tanh": torch.tanh}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Attention(nn.Module):
    """Each position looks at itself and at those before it."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (rows, length, WIDTH), in and out."""
        rows, length, _ = x.shape
        query, key, value = self.mix(x).view(rows, length, 3, HEADS, HEAD_WIDTH).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out(seen.transpose(1, 2).reshape(rows, length, WIDTH))


class Mlp(nn.Module):
    """What a position makes of what it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(WIDTH, MLP_RATIO * WIDTH)
        self.out = nn.Linear(MLP_RATIO * WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (rows, length, WIDTH), in and out."""
        return self.out(ACTIVATIONS[ACTIVATION](self.up(x)))


class Block(nn.Module):
    """Attention, then the MLP, each on what is normed, added to what comes in."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_attention, self.attention = nn.LayerNorm(WIDTH), Attention()
        self.norm_mlp, self.mlp = nn.LayerNorm(WIDTH), Mlp()
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (rows, length, WIDTH), in and out."""
        x = x + self.dropout(self.attention(self.norm_attention(x)))
        return x + self.dropout(self.mlp(self.norm_mlp(x)))


class Net(nn.Module):
    """Bytes as int64, shape (rows, length), to logits of the byte after each of them, shape (rows, length, 256)."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = nn.Embedding(256, WIDTH)
        self.positions = nn.Parameter(torch.zeros(CONTEXT, WIDTH))
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(WIDTH)
        if not TIED:
            self.out = nn.Linear(WIDTH, 256, bias=False)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        """At most CONTEXT bytes long."""
        return self.logits(self.hidden(text))

    def last(self, windows: torch.Tensor) -> torch.Tensor:
        """Logits of the one byte after each window, shape (rows, 256), from its last CONTEXT bytes."""
        return self.logits(self.hidden(windows[:, -CONTEXT:])[:, -1])

    def hidden(self, text: torch.Tensor) -> torch.Tensor:
        """What is known at each position, shape (rows, length, WIDTH)."""
        x = self.bytes(text) + self.positions[: text.shape[1]]
        for block in self.blocks:
            x = block(x)
        return x

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Of the next byte, from what is known."""
        return functional.linear(self.norm(hidden), self.bytes.weight if TIED else self.out.weight)


def initialise(net: Net) -> None:
    """Small weights everywhere, and smaller ones where a block adds to what comes in."""
    for name, weights in net.named_parameters():
        if weights.dim() == 2:
            nn.init.normal_(weights, std=0.02 / (2 * DEPTH) ** 0.5 if name.endswith("out.weight") else 0.02)


def build() -> nn.Module:
    """A fresh network, ready to be trained in float32."""
    net = Net()
    initialise(net)
    return net


def load(folder: Path) -> nn.Module:
    """The trained network that `train.py` left in a folder, ready to predict in the chosen precision."""
    net = Net()
    net.load_state_dict(load_file(folder / "model.safetensors"))
    return net.to(DTYPES[PRECISION]).eval()
