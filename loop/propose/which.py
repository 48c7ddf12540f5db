"""Which model proposes: what `[model]` asks for, and what there is.

    python -m loop.propose.which

says which one a study would have that asks for none by name, and brings the small one where there is none.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from loop.propose import weights
from loop.propose.embedded import LOG, Embedded
from loop.propose.model import CallFailed, Model, address, near
from loop.run.quiet import Quiet
from loop.study import ConfigError, Revision
from loop.study import Model as ModelSettings
from store.place import Place
from store.records import CallOutcome
from store.trail import NOWHERE, Trail
from store.where import where

KNOCK_SECONDS = 3.0
BRING = f"`{sys.executable} -P -m loop.propose.weights` brings it (491 MB)"
EXTRA = f"`{sys.executable} -m pip install 'research-cockpit[embedded]'`"


class Choice(Struct, frozen=True):
    """The model, or None; and in a few words how it was chosen, or why there is none."""

    model: Model | None
    why: str


async def choose(place: Place, revision: Revision, quiet: Quiet, trail: Trail = NOWHERE) -> Choice:
    """Find the model of a study. A server that does not answer may answer later; what is not installed is an error.

    Raises ConfigError.
    """
    wanted = revision.settings.model
    at = f"{where(place.config, revision.text, ('model', 'name'))}: `[model] name`"
    if wanted.name == "none" or not wanted.share:
        return Choice(None, "no model is asked for")

    def embedded(file: Path) -> Model:
        held = Embedded(file, wanted.num_ctx, place.folder / LOG, trail)
        return Model(held.name, "", wanted.num_ctx, wanted.timeout, quiet, held)

    if wanted.name == "embedded":
        if lack := _lack(weights.cached()):
            raise ConfigError(f"{at}: {lack}")
        return Choice(embedded(weights.cached()), "as asked for")
    if wanted.name.endswith(".gguf"):
        try:
            file = place.root / Path(wanted.name).expanduser()
        except RuntimeError as error:  # nobody of that name
            raise ConfigError(f"{at}: {wanted.name}: {error}") from None
        if lack := _lack(file, "mend the path"):
            raise ConfigError(f"{at}: {lack}")
        return Choice(embedded(file), "as asked for")

    try:
        server = address(wanted.host or os.environ.get("OLLAMA_HOST") or "")
    except ValueError as error:
        line = where(place.config, revision.text, ("model", "host"))
        raise ConfigError(f"{line}: `[model] host`, or $OLLAMA_HOST, is no address: {error}") from None

    model = Model(wanted.name, server, wanted.num_ctx, wanted.timeout, quiet)
    if wanted.name == "auto":
        found, why = await _installed(model)
        if found:
            return Choice(replace(model, name=found), "auto: installed at the server")
        lack = _lack(weights.cached())
        return Choice(None, f"{why}; {lack}") if lack else Choice(embedded(weights.cached()), f"auto: {why}")
    try:
        await model.look()
    except CallFailed as failed:
        if failed.outcome is CallOutcome.NO_MODEL:
            with suppress(CallFailed):
                there = ", ".join(await model.installed()) or "none"
                raise ConfigError(
                    f"{at}: {wanted.name} is not installed at {server}: `ollama pull {wanted.name}`; there are: {there}"
                ) from None
        return Choice(model, f"as asked for; it does not answer yet: {failed.outcome}, {failed.detail}")
    finally:
        await model.disconnect()
    return Choice(model, "as asked for")


async def _installed(model: Model) -> tuple[str, str]:
    """A model of the server, one for code before any other; or nothing, and why."""
    try:
        if near(model.address):  # a knock costs a millisecond, the client's libraries half a second
            async with asyncio.timeout(KNOCK_SECONDS):
                parts = urlsplit(model.address)
                _, writer = await asyncio.open_connection(parts.hostname, parts.port)
                writer.close()
        names = await model.installed()
    except (OSError, TimeoutError, UnicodeError):  # UnicodeError: a name that is none
        return "", f"no Ollama answers at {model.address}"
    except CallFailed as failed:
        return "", f"the Ollama at {model.address} does not say what it has: {failed.outcome}, {failed.detail}"
    finally:
        await model.disconnect()
    coders = [name for name in names if "cod" in name]
    return next(iter(coders + names), ""), f"the Ollama at {model.address} has no model"


def provide(say: Callable[[str], None]) -> None:
    """See to it that `auto` finds a model, if one can be had, saying which. Raises NotBrought and OSError."""
    try:
        server = address(os.environ.get("OLLAMA_HOST") or "")
    except ValueError as error:
        say(f"$OLLAMA_HOST is no address: {error}")
        raise weights.NotBrought from None
    asked = ModelSettings()
    model = Model(asked.name, server, asked.num_ctx, asked.timeout, Quiet())
    found, why = asyncio.run(_installed(model))
    if found:
        say(f"model: {found}, at {model.address}")
        return
    if find_spec("xllamacpp") is None:
        say(f"{why}, and an embedded model needs xllamacpp: {EXTRA}")
        raise weights.NotBrought
    if not weights.cached().exists():
        say(f"{why}: bringing a small model, 491 MB")
    file = weights.bring(say)
    say(_lack(file) or f"model: {file}")


def _lack(file: Path, mend: str = BRING) -> str:
    """Why a file cannot be embedded; nothing where it can."""
    if find_spec("xllamacpp") is None:
        return f"an embedded model needs xllamacpp: {EXTRA}"
    if not file.is_file():  # which also a pipe is not, that would be read for ever
        return f"there is no embedded model at {file}: {mend}"
    try:
        with file.open("rb") as source:
            return "" if source.read(4) == b"GGUF" else f"{file} is no GGUF file: {mend}"
    except OSError as error:
        return f"{file} cannot be read: {error.strerror}: {mend}"


if __name__ == "__main__":
    status = weights.attempt(provide)
    sys.exit(
        0 if status == 1 else status
    )  # that there is none has been said, and is no failure: what follows does without
