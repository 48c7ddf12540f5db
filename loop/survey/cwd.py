"""The folder in which a train command is run: where it was typed, or the script's own, if its files are there alone."""

import os
import re
import shlex
from pathlib import Path, PurePosixPath

from msgspec.structs import replace

from loop.survey.command import Train
from loop.survey.folders import Here, made, texts
from loop.survey.sources import Sources
from loop.survey.values import known

OWN_PLACE = re.compile(rb"\b__file__\b")  # by which a script finds its files, wherever it is run
LIKE_A_PATH = re.compile(r"[^\s:*?<>|{}]*[./][^\s:*?<>|{}]*")


def meant(root: Path, sources: Sources, train: Train) -> Train:
    """The command, run in its script's own folder where it names what is there and not at the top. Looks at the disk.

    One that was typed in a folder stays in it, and so does one that itself names something at the top.
    """
    script = PurePosixPath(train.script or "")
    folder = script.parent.as_posix()
    if train.cwd != "." or folder == "." or train.script not in train.words:
        return train
    others = [word.rpartition("=")[2] for word in train.words[1:] if word != train.script]
    if any(_like_a_path(word) and _there(root, sources, ".", word) for word in others):
        return train
    reached = [path for path in sources.reached(train.script or "") if PurePosixPath(path).parent == script.parent]
    if any(OWN_PLACE.search(sources.python[path]) for path in reached):
        return train
    names = known({path: sources.trees[path] for path in reached}, {})
    home = Path(os.environ.get("HOME") or "/nonexistent")
    own = {where: made(Here(root, home, where), sources, reached, names) for where in (".", folder)}

    def there(where: str, text: str) -> bool:
        """Whether it names what a script may read from that folder on, and neither makes nor is."""
        inside = os.path.normpath(PurePosixPath(where, text))
        if inside in sources.python or folder.startswith(f"{inside}/"):
            return False
        return _there(root, sources, where, text) and not own[where](inside)

    named = dict(texts(sources, reached, names))
    if any(len(text) < 300 and there(".", text) for text in named):
        return train
    alone = next(((one, seen) for one, seen in named.items() if _like_a_path(one) and there(folder, one)), None)
    if alone is None:
        return train
    words = tuple(script.name if word == train.script else word for word in train.words)
    why = f"{alone[1]}: {alone[0]!r} is there from {shlex.quote(folder)} on, and not from the top"
    return replace(train, words=words, cwd=folder, cwd_evidence=why)


def _like_a_path(text: str) -> bool:
    return len(text) < 300 and bool(LIKE_A_PATH.fullmatch(text)) and not text.startswith(("/", "~"))


def _there(root: Path, sources: Sources, folder: str, text: str) -> bool:
    """Whether something of the repository, below its top, is called so from a folder on."""
    inside = os.path.normpath(PurePosixPath(folder, text))
    if inside == "." or inside.startswith("..") or inside == folder:
        return False
    try:
        return inside in sources.files or (root / inside).exists()
    except (OSError, ValueError):
        return False
