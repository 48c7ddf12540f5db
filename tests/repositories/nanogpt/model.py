"""A bigram model over bytes: logits of the next one, by the one before."""

import math
from dataclasses import dataclass

VOCABULARY = 128


@dataclass
class BigramConfig:
    vocab_size: int = VOCABULARY
    bias: bool = True
    smoothing: float = 0.01


class Bigram:
    def __init__(self, config):
        self.config = config
        self.rows = {}

    def _row(self, before):
        return self.rows.setdefault(before, {})

    def _nll(self, before, after):
        row = self._row(before)
        total = sum(math.exp(logit) for logit in row.values()) + VOCABULARY - len(row)
        return math.log(total) - row.get(after, 0.0)

    def loss(self, batch):
        pairs = [(text[at], text[at + 1]) for text in batch for at in range(len(text) - 1)]
        return sum(self._nll(*pair) for pair in pairs) / len(pairs)

    def step(self, batch, lr, weight_decay, grad_clip):
        for text in batch:
            for at in range(len(text) - 1):
                row, after = self._row(text[at]), text[at + 1]
                row.setdefault(after, 0.0)
                total = sum(math.exp(logit) for logit in row.values()) + VOCABULARY - len(row)
                for one, logit in row.items():
                    gradient = (one == after) - math.exp(logit) / total
                    gradient = max(-grad_clip, min(grad_clip, gradient))
                    row[one] = logit * (1 - lr * weight_decay) + lr * gradient
        return self.loss(batch)
