"""The configuration of an experiment."""

from dataclasses import dataclass


@dataclass
class TrainConfig:
    lr: float = 0.05
    hidden: int = 8
    dropout: float = 0.1
    activation: str = "tanh"
    steps: int = 400
    log_every: int = 100
    seed: int = 0
