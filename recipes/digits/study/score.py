"""Score the logits of a run against the hidden labels. Protected, and run from trunk's copy: data in, no code."""

import argparse
from pathlib import Path

import numpy as np


def main() -> None:
    """Print the mean negative log-likelihood, in nats, and the accuracy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--labels", type=Path, required=True, help="the folder that holds test.csv")
    arguments = parser.parse_args()

    labels = np.loadtxt(arguments.labels / "test.csv", dtype=np.int64)
    logits = np.load(arguments.out / "logits.npy", allow_pickle=False).astype(np.float64)
    if logits.shape != (len(labels), 10):
        raise SystemExit(f"logits.npy has shape {logits.shape}, not {(len(labels), 10)}")
    if not np.isfinite(logits).all():
        raise SystemExit("logits.npy holds values that are not finite")

    logits -= logits.max(axis=1, keepdims=True)
    log_likelihood = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    print(f"nll: {-log_likelihood[np.arange(len(labels)), labels].mean():.6f}")
    print(f"accuracy: {(logits.argmax(axis=1) == labels).mean():.6f}")


if __name__ == "__main__":
    main()
