"""The split of a study: made once, at its first start, kept in its folder, and lent to whom it is for.

It stands in `{study}/carved`, which leads to a folder called after the file's content and the line of `cockpit.toml`:
a run under way goes on with the one that it began with. Another content of the file makes another split, in which each
row that was there lies on the side where it lay.
"""

import asyncio
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct, to_builtins

from loop.branches import Branches
from loop.run import carving, language
from loop.run.carving import DEV, INPUTS, LABELS, TEXT, Parts, Wrong, beside
from loop.study import Carve, ConfigError, Data, Revision
from store.place import SCRATCH, Place
from store.where import where

NAME = "carved"
FACTS = "facts.json"
AT_ONCE = 200  # files of a folder that are held in memory
VERSION = 1  # of how rows are divided
POINTER = b"version https://git-lfs.github.com/spec/"


class Carved(Struct, frozen=True):
    """Where the parts are, and what is to be known of them."""

    dev: Mapping[str, Path]  # in the place of which path of the repository
    inputs: Path | None  # for `predict`; none of a text
    labels: Path
    facts: Mapping[str, Any]  # of the bench

    @property
    def sentence(self) -> str:
        """How it is divided: `data/train.csv: 1,437 rows for training, 360 to be scored, by `label``."""
        parts, label = self.facts["parts"], self.facts["label"]
        how = "its end" if parts["unit"] == "bytes" else "by a hash of the row" if label is not None else "by a hash"
        scored = f"{parts['scored']:,} scored"
        return f"{self.facts['file']}: {parts['dev']:,} {parts['unit']} for training, {scored}, {how}"


def stands(study: Path, data: Data, facts: Mapping[str, Any] | None = None) -> Carved | None:
    """The split that a study has; with `facts` of a bench, the one of that. None where there is none."""
    if data.carve is None:
        return None
    found = [study / NAME] if facts is None else sorted(study.glob(f"{NAME}-*"))
    splits = (_at(Path(os.path.realpath(one)), data.carve) for one in found if (one / FACTS).is_file())
    return next((one for one in splits if facts is None or one.facts == facts), None)


def _at(folder: Path, carve: Carve) -> Carved:
    name = Path(carve.file).name
    dev = {carve.files[0]: folder / DEV / name}
    if carve.labels_file is not None:
        dev[carve.labels_file] = folder / DEV / beside(Path(carve.labels_file).name)
    facts = json.loads((folder / FACTS).read_text())
    inputs = None if carve.is_text else folder / INPUTS / name
    return Carved(dev, inputs, folder / (TEXT if carve.is_text else LABELS), facts)


async def made(
    place: Place, revision: Revision, branches: Branches, tree: str, study: Path, looks_in: Path | None = None
) -> Carved | None:
    """The split of a study, made where it has none of this content yet; None where nothing is carved.

    `study` is the folder that it is kept in; one of this content that `looks_in` has already is taken from there. What
    is committed is divided as it is in this tree; else, as it lies in the working tree. Raises ConfigError, GitError
    and OSError.
    """
    carve = revision.settings.data.carve
    if carve is None:
        return None
    at = where(place.config, revision.text, ("data", "carve"))
    for path in carve.files:
        if link := await _linked(branches, tree, path):
            raise ConfigError(
                f"{at}: `[data] carve`: {link} is a committed link, by which runs would see all of {path}: take it out "
                f"of git (`git rm --cached {link}`) and put it into .gitignore, or name the file where git has it"
            )
    study.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=study, prefix=SCRATCH) as name:
        scratch = Path(name)
        sources = [await _source(place, branches, tree, path, scratch) for path in carve.files]
        if lacking := next((path for path, one in zip(carve.files, sources, strict=True) if one is None), None):
            kept = stands(study, revision.settings.data)
            if kept and {key: kept.facts[key] for key in _said(carve)} == _said(carve):
                return kept  # the file is gone, and the split is there
            raise ConfigError(f"{at}: `[data] carve`: there is no {lacking}; make it, or mend the name")
        try:
            split = await asyncio.to_thread(_keep, carve, [one for one in sources if one], scratch, study, looks_in)
            if revision.settings.run.scorer == "causal_lm":
                language.starts(split.facts["parts"]["scored"])
            return split
        except (Wrong, language.Wrong) as why:
            raise ConfigError(f"{at}: `[data] carve`: {why}") from None


async def _linked(branches: Branches, tree: str, path: str) -> str:
    """The committed link by way of which a path is reached; nothing where there is none."""
    files = await branches.files(tree)
    above = (str(one) for one in PurePosixPath(path).parents)
    return next((one for one in above if files.get(one, "").startswith("120000")), "")


async def _source(place: Place, branches: Branches, tree: str, path: str, scratch: Path) -> Path | None:
    """A file as it is divided; None where it is not there."""
    files = await branches.files(tree)
    if files.get(path, "").startswith("100"):
        content = await branches.content(tree, path)
        if not content.startswith(POINTER):  # of Git LFS: then the working tree has it
            (scratch / path).parent.mkdir(parents=True, exist_ok=True)
            await asyncio.to_thread((scratch / path).write_bytes, content)
            return scratch / path
    inside = [one for one, facts in files.items() if one.startswith(f"{path}/") and facts.startswith("100")]
    for first in range(0, len(inside), AT_ONCE):
        contents = await branches.contents(tree, inside[first : first + AT_ONCE])
        if any(content.startswith(POINTER) for content in contents.values()):
            break
        await asyncio.to_thread(_write, contents, scratch)
    else:
        if inside:
            return scratch / path
    return place.root / path if (place.root / path).exists() else None


def _write(contents: Mapping[str, bytes], folder: Path) -> None:
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def _said(carve: Carve) -> dict[str, Any]:
    return {"file": carve.file, "label": carve.label, "share": carve.share}


def _keep(carve: Carve, sources: list[Path], scratch: Path, study: Path, looks_in: Path | None) -> Carved:
    """Divide it, unless that was done, and let `carved` lead there."""
    whole = hashlib.sha256(json.dumps([VERSION, _said(carve)]).encode())
    for source in sources:
        for file in sorted(source.rglob("*")) if source.is_dir() else [source]:
            if file.is_file():
                with file.open("rb") as opened:
                    content = hashlib.file_digest(opened, "sha256").digest()
                inside = file.relative_to(source).as_posix() if source.is_dir() else ""
                whole.update(f"{inside}\0".encode("utf-8", "surrogateescape") + content)
    folder = study / f"{NAME}-{whole.hexdigest()[:16]}"
    if looks_in is not None and looks_in != study and (looks_in / folder.name / FACTS).is_file():
        return _at(looks_in / folder.name, carve)
    if not (folder / FACTS).is_file():
        shutil.rmtree(folder, ignore_errors=True)
        parts: Parts = carving.carve(carve, sources[0], sources[1] if len(sources) > 1 else None, scratch / NAME)
        facts = {**_said(carve), "parts": to_builtins(parts)}
        (scratch / NAME / FACTS).write_text(json.dumps(facts, indent=1) + "\n")
        (scratch / NAME).rename(folder)
    link = scratch / "link"
    link.symlink_to(folder.name)
    link.replace(study / NAME)
    return _at(folder, carve)
