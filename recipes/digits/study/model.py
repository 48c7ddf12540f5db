"""The network. `predict.py` and `train.py` rely on two names: `build()` and `load(folder)`; all else may change."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

WIDTH = 64  # cockpit: 8..256 log
DEPTH = 2  # cockpit: 1..4
ACTIVATION = "relu"  # cockpit: relu | gelu | silu | tanh
DROPOUT = 0.1  # cockpit: 0.0..0.5
PRECISION = "float32"  # cockpit: float32 | bfloat16

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Net(nn.Module):
    """Grey values from 0 to 16, shape (rows, 64), to logits, shape (rows, 10)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 64
        for _ in range(DEPTH):
            layers += [nn.Linear(width, WIDTH), ACTIVATIONS[ACTIVATION](), nn.Dropout(DROPOUT)]
            width = WIDTH
        self.layers = nn.Sequential(*layers, nn.Linear(width, 10))

    def forward(self, grey: torch.Tensor) -> torch.Tensor:
        """Logits in the precision of the weights."""
        dtype = next(self.parameters()).dtype
        return self.layers(grey.to(dtype) / 8 - 1)


def build() -> nn.Module:
    """A fresh network, ready to be trained in float32."""
    return Net()


def load(folder: Path) -> nn.Module:
    """The trained network that `train.py` left in a folder, ready to predict in the chosen precision."""
    net = Net()
    net.load_state_dict(load_file(folder / "model.safetensors"))
    return net.to(DTYPES[PRECISION]).eval()
