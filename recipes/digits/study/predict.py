"""Load the trained network, write its logits for the test rows, and time it. Protected: no proposal edits this file."""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from model import load

PASSES = 200
UNTIMED = 9  # between two timed passes: keeps the caches warm, and spreads the 200 over about a second


def main() -> None:
    """Write `logits.npy`, shape (rows, 10), and print what a prediction costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"))
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    net = load(arguments.out)
    pixels = torch.from_numpy(np.loadtxt("data/test.csv", delimiter=",", dtype=np.float32))
    rows = len(pixels)
    with torch.inference_mode():
        logits = net(pixels).float()
        seconds = []
        for step in range(PASSES):
            # Each pass sees the rows in another order, so that answers kept from an earlier pass are no help.
            turned = pixels.roll(step, dims=0)
            for _ in range(UNTIMED):
                net(turned)
            began = time.perf_counter()
            answer = net(turned)
            seconds.append(time.perf_counter() - began)
            if not torch.allclose(answer.float().roll(-step, dims=0), logits, rtol=0.02, atol=0.02):
                raise SystemExit("the network answers differently while it is timed")

    np.save(arguments.out / "logits.npy", logits.numpy())
    # The smallest, not the mean: what a neighbour takes away only ever adds to a pass.
    print(f"predict_us_per_item: {min(seconds) / rows * 1e6:.5f}")
    print(f"parameters: {sum(weights.numel() for weights in net.parameters())}")


if __name__ == "__main__":
    main()
