"""Split the sources of Python's own library, as this machine has them, by a seed: text to learn from, and hidden text.

    python prepare.py REPOSITORY STUDY_FOLDER SEED

writes `data/train.bin` (the text to learn from) and `data/windows.bin` (pieces of 256 bytes of the hidden text) into
the repository, and `labels/next.bin` (the byte after each piece) and `labels/split.json` into the study's folder.
Standard library only: whoever keeps cockpit apart from the training environment can still make the study.
"""

import hashlib
import json
import os
import platform
import random
import sys
import sysconfig
from pathlib import Path

WINDOWS = 4096
WINDOW = 256
CELL = 512  # of the hidden text; one window of each that is drawn
APART = 64  # bytes at least between two windows, so that none holds the byte after another, or begins behind it
TRAIN_BYTES = 4 << 20  # at most

# Not the library itself; and tables made by a program, each much like the next, so that nothing of them were hidden.
LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__", "encodings", "pydoc_data"}
MADE_BY_THE_BUILD = ("_sysconfigdata", "_sysconfig_vars")

Sources = dict[str, bytes]


def sources(library: Path) -> Sources:
    """The texts of a library by their relative paths, in order. Of files that are the same the first one counts."""
    found = {}
    for folder, folders, names in os.walk(library):
        folders[:] = [name for name in folders if name not in LEFT_OUT and not name.startswith("config-")]
        for name in names:
            path = Path(folder) / name
            if name.endswith(".py") and not name.startswith(MADE_BY_THE_BUILD) and not path.is_symlink():
                found[path.relative_to(library).as_posix()] = path
    texts: Sources = {}
    seen = set()
    for name in sorted(found):
        text = found[name].read_bytes()
        if text and _utf8(text) and (digest := hashlib.sha256(text).digest()) not in seen:
            seen.add(digest)
            texts[name] = text
    return texts


def halves(texts: Sources, seed: int) -> tuple[Sources, Sources]:
    """Whole files: half of all bytes to learn from, the others hidden. Each in the order in which the seed has them."""
    names = list(texts)
    random.Random(f"bytegpt files {seed}").shuffle(names)
    learned: Sources = {}
    half = sum(map(len, texts.values())) // 2
    while names and half > 0:
        name = names.pop()
        learned[name] = texts[name]
        half -= len(texts[name])
    return learned, {name: texts[name] for name in names}


def places(hidden: Sources, seed: int) -> list[tuple[str, int]]:
    """File and first byte of each window, in no order: that of a neighbour says nothing. Raises SystemExit."""
    cells = [(name, start) for name, text in hidden.items() for start in range(0, len(text) - CELL + 1, CELL)]
    if len(cells) < WINDOWS:
        raise SystemExit(
            f"too little of Python's library is there as source: {len(cells)} pieces to hide, of {WINDOWS}; "
            f"is it zipped, or a part of it a package of its own?"
        )
    draw = random.Random(f"bytegpt windows {seed}")
    return [(name, start + draw.randrange(CELL - WINDOW - APART)) for name, start in draw.sample(cells, WINDOWS)]


def split(repository: Path, study: Path, seed: int, library: Path) -> None:
    """Write the parts. The same seed gives the same parts, wherever the library is the same."""
    texts = sources(library)
    learned, hidden = halves(texts, seed)
    drawn = places(hidden, seed)

    data, labels = repository / "data", study / "labels"
    data.mkdir(parents=True)
    labels.mkdir(parents=True)
    train = b"".join(learned.values())[:TRAIN_BYTES]
    (data / "train.bin").write_bytes(train)
    (data / "windows.bin").write_bytes(b"".join(hidden[name][at : at + WINDOW] for name, at in drawn))
    (labels / "next.bin").write_bytes(bytes(hidden[name][at + WINDOW] for name, at in drawn))
    whole = hashlib.sha256()
    for name, text in texts.items():
        whole.update(f"{name} {len(text)}\n".encode() + text)
    facts = {
        "recipe": "bytegpt",
        "seed": seed,
        "python": platform.python_version(),
        "files": len(texts),
        "hidden_files": len(hidden),
        "train_bytes": len(train),
        "windows": len(drawn),
        "source_sha256": whole.hexdigest(),
    }
    (labels / "split.json").write_text(json.dumps(facts, indent=1) + "\n")


def _utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


if __name__ == "__main__":
    split(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), Path(sysconfig.get_path("stdlib")))
