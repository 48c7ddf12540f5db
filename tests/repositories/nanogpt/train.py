"""
A small language model of characters, trained from scratch.
$ python train.py config/train_tiny.py --max_iters=200
"""

import math
import os
import pickle
import random
import time

from model import Bigram, BigramConfig

# -----------------------------------------------------------------------------
# default config values designed to train a tiny model on a line of text
# I/O
out_dir = "out"
eval_interval = 50
eval_iters = 10
log_interval = 10
always_save_checkpoint = False
init_from = "scratch"  # 'scratch' or 'resume'
# wandb logging
wandb_log = False
wandb_project = "owt"
# data
dataset = "tiny"
gradient_accumulation_steps = 1
batch_size = 16
block_size = 8
# model
n_layer = 1
n_embd = 8
bias = True  # do we use bias in the logits?
# adamw optimizer
learning_rate = 0.5  # max learning rate
max_iters = 200  # total number of training iterations
weight_decay = 1e-3
beta2 = 0.95
grad_clip = 1.0  # clip gradients at this value, or disable if == 0.0
# learning rate decay settings
decay_lr = True
warmup_iters = 20
lr_decay_iters = 200
min_lr = 0.05
# system
device = "cpu"
# -----------------------------------------------------------------------------
config_keys = [k for k, v in globals().items() if not k.startswith("_") and isinstance(v, (int, float, bool, str))]
exec(open("configurator.py").read())  # overrides from command line or config file
config = {k: globals()[k] for k in config_keys}  # will be useful for logging
# -----------------------------------------------------------------------------

ddp = int(os.environ.get("RANK", -1)) != -1  # is this a ddp run?
if ddp:
    seed_offset = int(os.environ["RANK"])  # each process gets a different seed
else:
    seed_offset = 0
os.makedirs(out_dir, exist_ok=True)
random.seed(1337 + seed_offset)

# poor man's data loader
data_dir = os.path.join("data", dataset)


def get_batch(split):
    with open(os.path.join(data_dir, "train.bin" if split == "train" else "val.bin"), "rb") as f:
        data = f.read()
    starts = [random.randrange(len(data) - block_size) for _ in range(batch_size)]
    return [data[at : at + block_size + 1] for at in starts]


iter_num = 0
best_val_loss = 1e9
model = Bigram(BigramConfig(bias=bias))
if init_from == "resume":
    print(f"Resuming training from {out_dir}")
    with open(os.path.join(out_dir, "ckpt.pt"), "rb") as f:
        model.rows = pickle.load(f)


def estimate_loss():
    out = {}
    for split in ["train", "val"]:
        losses = [model.loss(get_batch(split)) for _ in range(eval_iters)]
        out[split] = sum(losses) / len(losses)
    return out


def get_lr(it):
    if it < warmup_iters:
        return learning_rate * (it + 1) / (warmup_iters + 1)
    if it > lr_decay_iters:
        return min_lr
    ratio = (it - warmup_iters) / (lr_decay_iters - warmup_iters)
    return min_lr + 0.5 * (1.0 + math.cos(math.pi * ratio)) * (learning_rate - min_lr)


t0 = time.time()
while True:
    lr = get_lr(iter_num) if decay_lr else learning_rate
    if iter_num % eval_interval == 0:
        losses = estimate_loss()
        print(f"step {iter_num}: train loss {losses['train']:.4f}, val loss {losses['val']:.4f}")
        if losses["val"] < best_val_loss or always_save_checkpoint:
            best_val_loss = losses["val"]
    loss = model.step(get_batch("train"), lr, weight_decay, grad_clip)
    if iter_num % log_interval == 0:
        dt = time.time() - t0
        print(f"iter {iter_num}: loss {loss:.4f}, time {dt*1000:.2f}ms")
    iter_num += 1
    if iter_num > max_iters:
        break
