"""What may be spent, who proposes, and who is told: `[budget]`, `[prices]`, `[model]`, `[notify]` of `cockpit.toml`."""

import re
import shlex

from pydantic import Field, field_validator

from loop.study.table import Table
from loop.study.values import Seconds


class Budget(Table):
    """[budget]: what a study may spend. Running out ends it cleanly."""

    experiments: int | None = Field(default=None, ge=1)
    """Experiments; `--experiments N` overrides it.

    experiments = 200
    """
    runs: int | None = Field(default=None, ge=1)
    """Runs of all experiments, whatever came of them.

    runs = 1000
    """
    tokens: int | None = Field(default=None, ge=1)
    """Tokens that the model reads and writes.

    tokens = 500_000
    """
    time: Seconds | None = None
    """The time that engines of the study live, paused or not. `--minutes N` is of one engine, and overrides it.

    time = "10 h"
    """
    device_hours: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Hours of all GPUs that a run may use, while it holds them. An error at the start where there is none.

    device_hours = 24
    """
    money: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """The price of those hours, at `[prices] device_hour`; without a GPU, of the hours that runs take.

    money = 20
    """
    joules: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """What those GPUs take while stages run on them. An error at the start where they do not count it.

    joules = 500_000
    """


class Prices(Table):
    """[prices]: what cockpit cannot measure."""

    device_hour: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """The price of an hour of one GPU; without one, of this machine.

    device_hour = 2.50
    """
    currency: str | None = Field(default=None, min_length=1)
    """What it is in: the unit that prices are shown with.

    currency = "EUR"
    """


class Model(Table):
    """[model]: which language model proposes, and how much."""

    name: str = Field(default="auto", min_length=1)
    """A model of Ollama's, "embedded", a path to a GGUF file, "auto" (one that is there), or "none".

    name = "qwen2.5-coder:7b"
    """
    host: str | None = None
    """The Ollama server. Without it $OLLAMA_HOST, else this machine.

    host = "http://127.0.0.1:11434"
    """
    num_ctx: int = Field(default=4096, ge=2048, le=2**24)
    """The tokens of its context, the same in every call."""
    timeout: Seconds = 120.0
    """How long a call may take."""
    share: float = Field(default=0.3, ge=0, le=1)
    """Its share of the proposals; the optimiser makes the others."""

    @field_validator("name")
    @classmethod
    def _printable(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("a name holds no control character")
        return name

    @field_validator("host")
    @classmethod
    def _address(cls, host: str | None) -> str | None:
        if host is not None and not re.fullmatch(
            r"(https?://)?([\w.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?(/\S*)?", host
        ):
            raise ValueError('a host is an address as "http://127.0.0.1:11434"')
        return host


class Notify(Table):
    """[notify]: who is told of an offer, an end, an engine that died."""

    command: str | None = None
    """A program of yours, with its words. What there is to tell is on its standard input, and in $COCKPIT_TEXT.

    command = "ntfy publish cockpit"
    """

    @field_validator("command")
    @classmethod
    def _split(cls, command: str | None) -> str | None:
        try:
            if command is not None and (not shlex.split(command) or "\0" in command):
                raise ValueError("the command is empty, or holds a character that no command can hold")
        except ValueError as error:
            raise ValueError(f"no words of a command: {error}") from None
        return command
