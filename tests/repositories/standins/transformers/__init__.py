"""What the fixture `trainer` takes of transformers, in a few lines: flags of dataclasses, and a Trainer's files and prints."""

import argparse
import dataclasses
import json
import os
import random


@dataclasses.dataclass
class TrainingArguments:
    output_dir: str = "trainer_output"
    learning_rate: float = 5e-5
    weight_decay: float = 0.0
    warmup_steps: int = 0
    max_grad_norm: float = 1.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    label_smoothing_factor: float = 0.0
    per_device_train_batch_size: int = 8
    gradient_accumulation_steps: int = 1
    num_train_epochs: float = 3.0
    seed: int = 42


class HfArgumentParser:
    def __init__(self, classes):
        self.classes = classes

    def parse_args_into_dataclasses(self):
        parser = argparse.ArgumentParser()
        for one in self.classes:
            for field in dataclasses.fields(one):
                parser.add_argument(f"--{field.name}", type=field.type, default=field.default)
        said = vars(parser.parse_args())
        return tuple(one(**{field.name: said[field.name] for field in dataclasses.fields(one)}) for one in self.classes)


def set_seed(seed):
    random.seed(seed)


class Trainer:
    def __init__(self, model, args, train_dataset, eval_dataset):
        self.model, self.args, self.rows, self.held_out = model, args, list(train_dataset), eval_dataset
        self.state = {"epoch": 0.0, "global_step": 0, "log_history": []}

    def train(self):
        for epoch in range(1, int(self.args.num_train_epochs) + 1):
            random.shuffle(self.rows)
            loss = sum(self.model.step(row, 1000 * self.args.learning_rate) for row in self.rows) / len(self.rows)
            self.state["global_step"] += len(self.rows) // self.args.per_device_train_batch_size
            self._log({"loss": round(loss, 4), "epoch": float(epoch)})

    def evaluate(self):
        metrics = {"eval_loss": self.model.loss(self.held_out), "epoch": float(self.args.num_train_epochs)}
        self._log(metrics)
        return metrics

    def log_metrics(self, split, metrics):
        print(f"***** {split} metrics *****")
        for key, value in metrics.items():
            print(f"  {key:<12} = {value:>10.4f}")

    def save_state(self):
        os.makedirs(self.args.output_dir, exist_ok=True)
        with open(os.path.join(self.args.output_dir, "trainer_state.json"), "w") as file:
            json.dump(self.state, file, indent=2)

    def _log(self, metrics):
        self.state["log_history"].append({**metrics, "step": self.state["global_step"]})
        print({key: str(value) for key, value in metrics.items()})
