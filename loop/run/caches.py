"""What libraries have downloaded to this machine before, lent to runs: each has it in its home, and may write there.

What a run writes goes into a layer that is thrown away with it. Where bubblewrap can mount one (since 0.11), the kernel
keeps it apart. Elsewhere the folders of a cache are made anew in the run's home: small files are copied there, and the
large ones are links to what can be read alone, which can be replaced and not changed in their place. A folder that is
too many files down is such a link as a whole.

Tokens are in none of these folders: huggingface_hub keeps them beside its own. Where a variable says otherwise, or
names a whole home, that is no cache that is lent.
"""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

from msgspec import Struct

SMALL_BYTES = 64 * 2**10  # of a file that is copied: a lock, a list of names, code
MOST_ENTRIES = 20_000  # that are made anew of a cache


class Cache(Struct, frozen=True):
    """A folder of this machine, and where a run finds it."""

    source: Path
    place: str  # below the run's home


def found(variables: Mapping[str, str] = os.environ) -> list[Cache]:
    """The caches that are there, by the variables that their libraries read. In a run they are where these look first.

    huggingface_hub and datasets, the code that transformers takes from a hub, torch.hub and torchvision, scikit-learn.
    """

    def said(name: str, otherwise: Path) -> Path:
        named = variables.get(name)
        return Path(os.path.expanduser(named)) if named else otherwise  # noqa: PTH111  # `~nobody` raises nothing

    home = Path(variables.get("HOME") or "/")
    base = said("XDG_CACHE_HOME", home / ".cache")
    hugging = said("HF_HOME", base / "huggingface")
    places = {
        ".cache/huggingface/hub": said("HF_HUB_CACHE", said("HUGGINGFACE_HUB_CACHE", hugging / "hub")),
        ".cache/huggingface/datasets": said("HF_DATASETS_CACHE", hugging / "datasets"),
        ".cache/huggingface/modules": said("HF_MODULES_CACHE", hugging / "modules"),
        ".cache/torch": said("TORCH_HOME", base / "torch"),
        "scikit_learn_data": said("SCIKIT_LEARN_DATA", home / "scikit_learn_data"),
    }
    token = said("HF_TOKEN_PATH", hugging / "token")
    kept = [Path(os.path.realpath(path)) for path in (home, hugging, token, token.parent)]
    there = {
        place: Path(os.path.realpath(path)) for place, path in places.items() if os.access(path, os.R_OK | os.X_OK)
    }
    return [
        Cache(source, place) for place, source in there.items() if not any(path.is_relative_to(source) for path in kept)
    ]


def make_anew(source: Path, to: Path) -> None:
    """A cache whose folders can be written to and whose files are copies, where they are small, or else links."""
    ahead, left = [(source, to)], MOST_ENTRIES
    for here, there in ahead:  # those near the top first
        try:
            with os.scandir(here) as there_are:
                entries = list(islice(there_are, left + 1))
        except OSError:  # not to be read, by a run neither
            continue
        there.parent.mkdir(parents=True, exist_ok=True)
        if len(entries) > left:
            there.symlink_to(here)
            continue
        left -= len(entries)
        there.mkdir()
        for one in entries:
            with suppress(OSError):  # it has just gone, or is not to be read
                if one.is_symlink():
                    (there / one.name).symlink_to(Path(one.path).readlink())
                elif one.is_dir():
                    ahead.append((Path(one.path), there / one.name))
                elif one.is_file() and one.stat().st_size <= SMALL_BYTES:
                    shutil.copyfile(one.path, there / one.name)
                elif one.is_file():
                    (there / one.name).symlink_to(one.path)
