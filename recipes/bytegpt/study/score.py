"""Score the logits of a run against the hidden bytes. Protected, and run from trunk's copy: data in, no code."""

import argparse
from pathlib import Path

import numpy as np


def main() -> None:
    """Print what the right byte costs, in bits, on average."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--labels", type=Path, required=True, help="the folder that holds next.bin")
    arguments = parser.parse_args()

    labels = np.fromfile(arguments.labels / "next.bin", dtype=np.uint8)
    logits = np.load(arguments.out / "logits.npy", allow_pickle=False).astype(np.float64)
    if logits.shape != (len(labels), 256):
        raise SystemExit(f"logits.npy has shape {logits.shape}, not {(len(labels), 256)}")
    if not np.isfinite(logits).all():
        raise SystemExit("logits.npy holds values that are not finite")

    logits -= logits.max(axis=1, keepdims=True)
    log_likelihood = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    print(f"val_bpb: {-log_likelihood[np.arange(len(labels)), labels].mean() / np.log(2):.6f}")


if __name__ == "__main__":
    main()
