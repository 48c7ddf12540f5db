"""Load the trained network, time it, and write its logits for the windows. Protected: no proposal edits this file."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from model import load

WINDOW = 256
PASS_ROWS = 16
PASSES = 200  # at most
SECONDS = 3.0  # of timed passes, at most; one at least
BATCH_ROWS = 64


def main() -> None:
    """Write `logits.npy`, shape (windows, 256), and print what a prediction costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"))
    arguments = parser.parse_args()

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = load(arguments.out).to(device)
    raw = np.fromfile("data/windows.bin", dtype=np.uint8).reshape(-1, WINDOW)
    windows = torch.from_numpy(raw).long().to(device)
    with torch.inference_mode():
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        seconds, answers = timed(net.last, windows, device)
        torch.set_num_threads(threads)
        logits = torch.cat([net.last(rows).float() for rows in windows.split(BATCH_ROWS)])
        if not torch.allclose(answers, logits[: len(answers)], rtol=0.02, atol=0.05):
            raise SystemExit("the network answers differently while it is timed")

    np.save(arguments.out / "logits.npy", logits.cpu().numpy())
    # The smallest, not the mean: what a neighbour takes away only ever adds to a pass.
    print(f"predict_us_per_item: {min(seconds) / PASS_ROWS * 1e6:.5f}")
    print(f"parameters: {sum(weights.numel() for weights in net.parameters())}")


def timed(
    last: Callable[[torch.Tensor], torch.Tensor], windows: torch.Tensor, device: torch.device
) -> tuple[list[float], torch.Tensor]:
    """The seconds of each pass, and its answers. A pass sees rows that no earlier one has seen: none can be kept."""
    seconds: list[float] = []
    answers: list[torch.Tensor] = []
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    for rows in windows.split(PASS_ROWS)[:PASSES]:
        wait()
        began = time.perf_counter()
        answer = last(rows)
        wait()
        seconds.append(time.perf_counter() - began)
        answers.append(answer.float())
        if sum(seconds) > SECONDS:
            break
    return seconds, torch.cat(answers)


if __name__ == "__main__":
    main()
