"""Classifies small pictures, configured by Hydra."""

import logging
import random
from pathlib import Path

import hydra

from augment import augmented

log = logging.getLogger(__name__)


def load(folder):
    pictures = []
    for path in sorted(Path(folder).iterdir()):
        label, *pixels = path.read_text().split()
        pictures.append(([float(pixel) for pixel in pixels], int(label)))
    return pictures


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg):
    logging.basicConfig(level=logging.INFO)
    random.seed(cfg.seed)
    train, test = load(Path(cfg.data.root) / "train"), load(Path(cfg.data.root) / "test")
    size = len(train[0][0])
    weights = [random.gauss(0, 0.1) for _ in range(size)]
    for epoch in range(cfg.trainer.max_epochs):
        random.shuffle(train)
        for pixels, label in train:
            pixels = augmented(pixels, cfg.augment.noise)
            wrong = label - sum(w * p for w, p in zip(weights, pixels))
            for k in range(size):
                weights[k] += cfg.optim.lr * (wrong * pixels[k] - cfg.optim.weight_decay * weights[k])
        right = sum((sum(w * p for w, p in zip(weights, pixels)) > 0) == (label > 0) for pixels, label in test)
        mse = sum((label - sum(w * p for w, p in zip(weights, pixels))) ** 2 for pixels, label in test) / len(test)
        log.info("epoch %d: test_acc=%.4f test_mse=%.5f", epoch, right / len(test), mse)


if __name__ == "__main__":
    main()
