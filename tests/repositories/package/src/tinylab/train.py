"""Trains a network on a sine: `python -m tinylab.train`."""

import math
import random

from tinylab.config import TrainConfig
from tinylab.model import Net


def rmse(net):
    points = [k / 10 for k in range(-30, 31)]
    return math.sqrt(sum((net(x) - math.sin(x)) ** 2 for x in points) / len(points))


def train(config):
    random.seed(config.seed)
    net = Net(config.hidden, config.activation)
    for step in range(1, config.steps + 1):
        x = random.uniform(-3, 3)
        net.step(x, math.sin(x), config.lr, config.dropout)
        if step % config.log_every == 0:
            print(f"[{step}] val_rmse: {rmse(net):.5f}")


def main():
    train(TrainConfig())


if __name__ == "__main__":
    main()
