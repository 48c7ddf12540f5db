"""Fine-tunes a small model with the Trainer of Hugging Face."""

from dataclasses import dataclass, field

from transformers import HfArgumentParser, Trainer, TrainingArguments, set_seed

from modeling import TinyModel, make_dataset


@dataclass
class ModelArguments:
    hidden_size: int = field(default=16, metadata={"help": "width of the model"})
    dropout: float = 0.1


@dataclass
class DataArguments:
    train_size: int = 64
    eval_size: int = 32


def main():
    parser = HfArgumentParser((ModelArguments, DataArguments, TrainingArguments))
    model_args, data_args, training_args = parser.parse_args_into_dataclasses()
    set_seed(training_args.seed)
    model = TinyModel(model_args.hidden_size, model_args.dropout)
    trainer = Trainer(
        model=model,
        args=training_args,
        train_dataset=make_dataset(data_args.train_size, 0),
        eval_dataset=make_dataset(data_args.eval_size, 1),
    )
    trainer.train()
    metrics = trainer.evaluate()
    trainer.log_metrics("eval", metrics)
    trainer.save_state()


if __name__ == "__main__":
    main()
