"""Train the network on the text and leave its weights in `--out`."""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from knobs import BATCH_SIZE, BYTES, CONTEXT, LEARNING_RATE, PRECISION, WARMUP, WEIGHT_DECAY
from model import build

TELL = 10  # times that a run says its loss


def main() -> None:
    """One training run: the same seed gives the same weights on the same machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out"))
    arguments = parser.parse_args()

    # A net this small is hardly faster on two, and three times slower on two of which one is busy with something else.
    torch.set_num_threads(1)
    # On most CPUs half the precision is slower by far: there it is for prediction alone.
    accelerator = Accelerator(mixed_precision="bf16" if PRECISION == "bfloat16" and torch.cuda.is_available() else "no")
    set_seed(arguments.seed)
    net = build()
    set_seed(arguments.seed, device_specific=True)  # from here on each rank draws text of its own
    net, optimizer = accelerator.prepare(net, make_optimizer(net))
    text = torch.from_numpy(np.fromfile("data/train.bin", dtype=np.uint8))

    net.train()
    read, losses = 0, []
    while read < BYTES:
        batch = draw(text)
        losses.append(step(net, optimizer, batch.to(accelerator.device), read / BYTES, accelerator))
        before, read = read, read + batch[:, 1:].numel() * accelerator.num_processes
        if read * TELL // BYTES > before * TELL // BYTES:
            accelerator.print(f"bytes: {read}  train_loss: {torch.stack(losses).mean():.4f}", flush=True)
            losses = []

    if accelerator.is_main_process:
        arguments.out.mkdir(parents=True, exist_ok=True)
        weights = {
            name: tensor.cpu().contiguous() for name, tensor in accelerator.unwrap_model(net).state_dict().items()
        }
        save_file(weights, arguments.out / "model.safetensors")
    accelerator.end_training()


def step(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: torch.Tensor,
    progress: float,
    accelerator: Accelerator,
) -> torch.Tensor:
    """Learn from one batch; its loss. `progress` is the share of the training that is done."""
    for group in optimizer.param_groups:
        group["lr"] = LEARNING_RATE * schedule(progress)
    loss = loss_of(net, batch)
    optimizer.zero_grad()
    accelerator.backward(loss)
    accelerator.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    return loss.detach()


def schedule(progress: float) -> float:
    """The share of the learning rate when that share of the steps is done: up in a line, then down as a cosine."""
    if progress < WARMUP:
        return max(progress, 0.001) / WARMUP
    return 0.5 + 0.5 * math.cos(math.pi * (progress - WARMUP) / (1 - WARMUP))


def make_optimizer(net: nn.Module) -> torch.optim.Optimizer:
    """AdamW; only matrices decay."""
    matrices = [weights for weights in net.parameters() if weights.dim() >= 2]
    others = [weights for weights in net.parameters() if weights.dim() < 2]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.99), fused=True)


def draw(text: torch.Tensor) -> torch.Tensor:
    """A batch from anywhere in the text, shape (BATCH_SIZE, CONTEXT + 1), as int64."""
    starts = torch.randint(len(text) - CONTEXT, (BATCH_SIZE, 1))
    return text[starts + torch.arange(CONTEXT + 1)].long()


def loss_of(net: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """The mean negative log-likelihood, in nats, of every byte but the first of each row."""
    return functional.cross_entropy(net(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())


if __name__ == "__main__":
    main()
