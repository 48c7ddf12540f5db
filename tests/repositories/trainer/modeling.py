"""A model of one hidden layer, and a line with noise for it to learn. With torch where there is one, else in plain Python."""

import random

try:
    import torch
    from torch import nn
except ImportError:
    torch = nn = None


def make_dataset(size, seed):
    rng = random.Random(seed)
    rows = []
    for _ in range(size):
        x = rng.uniform(-1, 1)
        y = 2 * x + rng.gauss(0, 0.1)
        rows.append({"x": torch.tensor([x]), "labels": torch.tensor([y])} if torch else {"x": x, "labels": y})
    return rows


if torch is not None:

    class TinyModel(nn.Module):
        def __init__(self, hidden_size, dropout):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(1, hidden_size), nn.Dropout(dropout), nn.Linear(hidden_size, 1))

        def forward(self, x, labels=None):
            out = self.layers(x)
            return {"loss": nn.functional.mse_loss(out, labels), "logits": out}

else:

    class TinyModel:
        def __init__(self, hidden_size, dropout):
            self.slope, self.noise = random.gauss(0, 1 / hidden_size), dropout

        def step(self, row, rate):
            wrong = self.slope * row["x"] * (1 + random.gauss(0, self.noise)) - row["labels"]
            self.slope -= rate * 2 * wrong * row["x"]
            return wrong**2

        def loss(self, rows):
            return sum((self.slope * row["x"] - row["labels"]) ** 2 for row in rows) / len(rows)
