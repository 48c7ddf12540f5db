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
WARM_SECONDS = 2.0  # of untimed passes among the timed ones: they keep the caches warm and spread the others


def main() -> None:
    """Write `logits.npy`, shape (windows, 256), and print what a prediction costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"))
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = load(arguments.out).to(device)
    raw = np.fromfile("data/windows.bin", dtype=np.uint8).reshape(-1, WINDOW)
    with torch.inference_mode():
        seconds, answers = timed(net.last, torch.from_numpy(raw).long().to(device))

    np.save(arguments.out / "logits.npy", answers.cpu().numpy())
    # The smallest, not the mean: what a neighbour takes away only ever adds to a pass.
    print(f"predict_us_per_item: {min(seconds) / PASS_ROWS * 1e6:.5f}")
    print(f"parameters: {sum(weights.numel() for weights in net.parameters())}")


def timed(last: Callable[[torch.Tensor], torch.Tensor], windows: torch.Tensor) -> tuple[list[float], torch.Tensor]:
    """The seconds of each pass, and all answers: what is scored is what was timed, on rows that were never seen."""
    wait = torch.cuda.synchronize if windows.is_cuda else lambda: None
    passes = windows.split(PASS_ROWS)
    seconds, answers, seen = [], [], passes[0]
    start = time.perf_counter()
    for number, rows in enumerate(passes):
        while number and time.perf_counter() < start + WARM_SECONDS * number / len(passes):
            last(seen)
        wait()
        began = time.perf_counter()
        answer = last(rows)
        wait()
        seconds.append(time.perf_counter() - began)
        answers.append(answer.float())
        seen = rows
    return seconds, torch.cat(answers)


if __name__ == "__main__":
    main()
