"""Train the network on the handwritten digits and leave its weights in `--out`."""

import argparse
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from model import build

EPOCHS = 12  # cockpit: 2..40 log
BATCH_SIZE = 64  # cockpit: 32..256 log
LEARNING_RATE = 0.005  # cockpit: 0.0001..0.1 log
WEIGHT_DECAY = 0.01  # cockpit: 0.0001..1.0 log
LABEL_SMOOTHING = 0.0  # cockpit: 0.0..0.2


def main() -> None:
    """One training run: the same seed gives the same weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out"))
    arguments = parser.parse_args()

    torch.set_num_threads(1)  # a net this small is no faster on more, and sums come out the same on every machine
    set_seed(arguments.seed)
    rows = torch.from_numpy(np.loadtxt("data/train.csv", delimiter=",", dtype=np.float32))
    pixels, labels = rows[:, :64], rows[:, 64].long()
    loader = DataLoader(TensorDataset(pixels, labels), batch_size=BATCH_SIZE, shuffle=True)

    accelerator = Accelerator()
    net = build()
    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS)
    net, optimizer, loader = accelerator.prepare(net, optimizer, loader)
    for epoch in range(1, EPOCHS + 1):
        loss = train(net, loader, optimizer, accelerator)
        schedule.step()
        accelerator.print(f"epoch: {epoch}  train_loss: {loss:.4f}", flush=True)

    if accelerator.is_main_process:
        arguments.out.mkdir(parents=True, exist_ok=True)
        weights = {
            name: tensor.cpu().contiguous() for name, tensor in accelerator.unwrap_model(net).state_dict().items()
        }
        save_file(weights, arguments.out / "model.safetensors")
    accelerator.end_training()


def train(net: nn.Module, loader: DataLoader, optimizer: torch.optim.Optimizer, accelerator: Accelerator) -> float:
    """Once through the rows; the mean loss."""
    criterion = nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
    net.train()
    total = torch.zeros((), device=accelerator.device)
    for batch, target in loader:
        loss = criterion(net(batch), target)
        optimizer.zero_grad()
        accelerator.backward(loss)
        optimizer.step()
        total += loss.detach()
    return total.item() / len(loader)


if __name__ == "__main__":
    main()
