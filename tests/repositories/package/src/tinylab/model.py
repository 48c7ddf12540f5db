"""A network with one hidden layer."""

import math
import random


class Net:
    def __init__(self, hidden, activation, init_scale=0.5):
        self.activation = activation
        self.inner = [[random.gauss(0, init_scale), random.gauss(0, init_scale)] for _ in range(hidden)]
        self.outer = [random.gauss(0, init_scale) for _ in range(hidden)]

    def act(self, z):
        if self.activation == "relu":
            return max(0.0, z), float(z > 0)
        if self.activation == "tanh":
            return math.tanh(z), 1 - math.tanh(z) ** 2
        raise ValueError(self.activation)

    def __call__(self, x):
        return sum(o * self.act(w * x + b)[0] for (w, b), o in zip(self.inner, self.outer))

    def step(self, x, y, lr, dropout):
        kept = [random.random() >= dropout for _ in self.outer]
        acts = [self.act(w * x + b) for w, b in self.inner]
        wrong = sum(o * a for (a, _), o, k in zip(acts, self.outer, kept) if k) - y
        for n, (a, slope) in enumerate(acts):
            if kept[n]:
                inner = wrong * self.outer[n] * slope
                self.outer[n] -= lr * wrong * a
                self.inner[n][0] -= lr * inner * x
                self.inner[n][1] -= lr * inner
