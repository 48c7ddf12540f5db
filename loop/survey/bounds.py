"""What a value may plausibly be, by its name and by what it is now. A guess, to be mended by who knows better."""

import math
import re
from collections.abc import Collection

from msgspec import Struct

from loop.propose.domain import Value

Bounds = dict[str, int | float | str | tuple[Value, ...]]  # a knob in [space.knobs]


def snake(name: str) -> str:
    """A name in small letters, its words parted and framed by `_`: `_weight_decay_`."""
    last = re.split(r"[.:]", name)[-1]
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", last)
    return f"_{re.sub(r'[^a-z0-9]+', '_', parted.lower()).strip('_')}_"


def words(*alternatives: str) -> re.Pattern[str]:
    """Finds any of these in a name, as whole words of it."""
    return re.compile("_(?:" + "|".join(alternatives) + ")(?=_)")


SEED = words("seed", "rng", "random_state", "manual_seed")
LENGTH = words(
    "(?:max|num|n|total|train|training)_(?:train_)?(?:steps|iters|iterations|epochs|updates|batches)", "epochs?",
    "steps", "n?iters?", "iterations", "updates",
)  # fmt: skip
NOT_LENGTH = words("accumulation", "accum", "warmup", "decay", "eval", "val", "log", "save", "per", "every")
BATCH = words("batch", "batch_size", "bs", "micro_batch")
# Settings that no proposal is to move: where things are, on what they run, what is told and how it is evaluated.
NEVER = words(
    *("accel", "accelerator", "mps", "tpu", "xla", "distributed", "multiprocessing", "dummy", "fake", "synthetic"),
    *("render", "display", "ignore_warnings", "ngpus?", "infer", "inference", "real_label", "fake_label"),
    *("path", "paths", "dir", "dirs", "directory", "folder", "file", "files", "filename", "root", "url", "uri", "host"),
    *("port", "out", "output", "outputs", "name", "names", "project", "entity", "id", "tag", "tags", "notes", "title"),
    *(
        "device",
        "devices",
        "cuda",
        "gpu",
        "gpus",
        "cpu",
        "cpus",
        "backend",
        "dtype",
        "precision",
        "amp",
        "fp16",
        "bf16",
    ),
    *("compile", "ddp", "world", "local", "node", "nodes", "worker", "workers", "thread", "threads", "procs", "proc"),
    *("pin", "memory", "prefetch", "log", "logs", "logging", "logger", "print", "verbose", "quiet", "debug", "wandb"),
    *("tensorboard", "tb", "comet", "mlflow", "report", "plot", "show", "progress", "eval", "evaluate", "evaluation"),
    *("val", "valid", "validation", "test", "dev", "save", "saved", "ckpt", "checkpoint", "checkpoints", "resume"),
    *("load", "cache", "cached", "download", "version", "every", "interval", "freq", "frequency", "dataset", "data"),
    *(
        "split",
        "splits",
        "fold",
        "folds",
        "classes",
        "class",
        "labels",
        "vocab",
        "vocab_size",
        "vocabulary",
        "channels_in",
    ),
    *("in_channels", "input", "inputs", "pretrained", "profile", "dry", "help", "config", "push", "hub", "token"),
    *(
        "overwrite",
        "do",
        "init_from",
        "train_size",
        "timeout",
        "budget",
        "seconds",
        "minutes",
        "hours",
        "time",
        "limit",
    ),
    *("deadline", "patience", "year", "author", "license", "eps", "epsilon", "decay_iters", "decay_steps", "n_train"),
    *("samples", "examples", "rows", "items", "size_of", "num_samples", "exclude", "include", "mode", "metric"),
    *(
        "in_features",
        "in_dim",
        "out_dim",
        "out_features",
        "max_iter_eval",
        "api",
        "key",
        "user",
        "email",
        "mean",
        "std",
    ),
)
# What is evaluated changes with these: a gain could be of the measure.
MEASURE = words(
    "(?:block|context|ctx|seq|sequence)_?(?:size|len|length)", "max_(?:seq_)?(?:len|length)", "image_size", "img_size",
    "resolution", "crop_size", "input_size",
)  # fmt: skip
RATE = words("lr", "learning_rate", "min_lr", "max_lr", "base_lr", "lr_\\w+", "learning_rate_\\w+", "step_rate", "eta")
DECAY = words("weight_decay", "wd", "l1", "l2", "alpha", "reg", "lambda", "regularization", "reg_\\w+", "lmbda")
DROP = words(
    "dropout", "drop", "drop_\\w+", "p", "\\w+_dropout", "dropout_\\w+", "label_smoothing", "smoothing", "noise"
)
NEAR_ONE = words("momentum", "beta\\w*", "betas?_?\\d?", "ema", "gamma", "decay", "rho", "ema_decay", "adam_beta\\d")
SMALL = words("decay", "gamma")  # of a weight or of a rate where it is small, and not of an average
SHARE = words(
    "prob", "probability", "ratio", "fraction", "frac", "rate", "share", "mixup", "cutmix", "percent", "smoothing"
)
SAMPLED = words("subsample", "colsample\\w*", "bagging_fraction", "feature_fraction", "max_features")
SIZE = words(
    "hidden", "width", "dim", "dims", "embd", "embed", "embedding", "units", "channels", "filters", "features", "size",
    "batch", "bs", "hidden_size", "hidden_dim", "d_\\w+", "n_embd", "rank", "r", "kernel", "planes", "ff", "ffn", "mlp",
)  # fmt: skip
DEPTH = words("layers?", "n_layers?", "depth", "blocks", "heads?", "n_heads?", "n_\\w+", "num_\\w+", "stages", "levels")
OTHER = words(
    "clip", "grad_clip", "norm", "temperature", "tau", "scale", "gain", "warmup", "accumulation", "accum", "k"
)
SWITCH = words("bias", "use_\\w+", "nesterov", "amsgrad", "tie\\w*", "prenorm", "residual", "augment\\w*", "batch_norm")
CHOICE = words(
    "optim", "optimizer", "optimiser", "activation", "act", "schedule\\w*", "loss", "arch", "norm", "pool\\w*"
)
ORDER = (
    RATE,
    DECAY,
    DROP,
    SIZE,
    DEPTH,
    NEAR_ONE,
    CHOICE,
    OTHER,
    SHARE,
    SAMPLED,
    SWITCH,
)  # what moves results most comes first


class Plausible(Struct, frozen=True):
    """What a knob may be, and how much it is likely to matter: a small rank matters more."""

    bounds: Bounds
    rank: int


def rank(name: str) -> int:
    """How far back in the list a value of this name belongs."""
    return next((place for place, kind in enumerate(ORDER) if kind.search(snake(name))), len(ORDER))


def familiar(name: str) -> bool:
    """Whether a name is that of a usual hyperparameter."""
    return rank(name) < len(ORDER)


def is_length(name: str) -> bool:
    """Whether a name says how long training goes: of fidelity, and not a knob."""
    framed = snake(name)
    return bool(LENGTH.search(framed)) and not NOT_LENGTH.search(framed)


def never(name: str) -> bool:
    """Whether a setting of this name is none that a proposal is to move."""
    framed = snake(name).replace("_per_device_", "_").replace("_clip_val_", "_clip_")
    return bool(name.startswith("_") or SEED.search(framed) or is_length(name) or NEVER.search(framed))


def plausible(
    name: str, value: Value, choices: Collection[Value] = (), divided: Collection[str] = ()
) -> Plausible | None:
    """What a value of this name could be; None where nothing is known that would be better than a wild guess.

    `choices` are those that the code itself names; `divided` the names that the code divides by one another.
    """
    place = rank(name)
    if choices:
        kept = tuple(dict.fromkeys((value, *choices)))
        same = len({type(one) for one in kept}) == 1
        return Plausible({"choices": kept}, place) if len(kept) > 1 and same and "" not in kept else None
    if isinstance(value, bool):
        return Plausible({"choices": (True, False)}, place)
    if isinstance(value, int):
        bounds = _whole(_count(name, value, divided=name in divided), value)
    elif isinstance(value, float) and math.isfinite(value):
        bounds = _whole(_real(name, value), value)
    else:
        return None
    return Plausible(bounds, place) if bounds else None


def _real(name: str, value: float) -> Bounds | None:
    framed = snake(name)
    if RATE.search(framed):
        return _decades(value, 1)
    if DECAY.search(framed):
        if value == 0:
            return {"low": 0.0, "high": 0.1}
        bounds = _decades(value, 1.5)
        return {**bounds, "high": min(1.0, value * 10**1.5)} if bounds and 0.1 <= value < 1 else bounds
    if DROP.search(framed) and 0 <= value <= 1:
        return {"low": 0.0, "high": 0.5 if value <= 0.5 else 1.0}
    if NEAR_ONE.search(framed) and 0.5 < value < 1:
        return {"low": round(max(0.0, 1 - 4 * (1 - value)), 9), "high": round(1 - (1 - value) / 10, 9)}
    if SAMPLED.search(framed) and 0 < value <= 1:  # nothing can be learned from none
        return {"low": _short(value / 4), "high": 1.0}
    if SMALL.search(framed) and 0 < value < 0.05:
        return _decades(value, 1)
    if (SHARE.search(framed) or NEAR_ONE.search(framed)) and 0 <= value <= 1:
        return {"low": 0.0, "high": 1.0}
    return {"low": _short(value / 4), "high": _short(value * 4), "scale": "log"} if value > 0 else None


def _decades(value: float, each_way: float) -> Bounds | None:
    if value <= 0:
        return None
    low, high = _short(value / 10**each_way, 1), _short(value * 10**each_way, 1)
    return {"low": low, "high": high, "scale": "log"} if 0 < low <= value <= high and math.isfinite(high) else None


def _count(name: str, value: int, *, divided: bool) -> Bounds | None:
    """Within a factor of four; a power of two, or what something is divided by, is doubled and halved."""
    framed = snake(name)
    if RATE.search(framed) or DROP.search(framed) or (DECAY.search(framed) and value in (0, 1)):
        return _real(name, float(value))
    if value <= 0 or value > 2**40:
        return None
    power = value & (value - 1) == 0
    if divided or (power and value >= 8):
        values = [value >> 2 if value % 4 == 0 else 0, value >> 1 if value % 2 == 0 else 0, value, value * 2, value * 4]
        return {"choices": tuple(one for one in values if one)}
    return {"low": max(1, value // 4), "high": value * 4, **({"scale": "log"} if value >= 16 else {})}


def _whole(bounds: Bounds | None, value: float) -> Bounds | None:
    """The bounds, where they are some, and the value lies within them."""
    if bounds is None or "choices" in bounds:
        return bounds
    low, high = bounds["low"], bounds["high"]
    if not (isinstance(low, int | float) and isinstance(high, int | float) and math.isfinite(high)):
        return None
    return bounds if low <= value <= high and low < high and (low > 0 or "scale" not in bounds) else None


def _short(value: float, digits: int = 2) -> float:
    return float(f"{value:.{digits}g}")
