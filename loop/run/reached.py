"""Which files of the repository a script is made of: what it imports, and so on."""

import ast
from collections.abc import Collection, Iterator, Sequence
from pathlib import PurePosixPath

ROOTS = ("", "src/")  # where imports of the repository's own begin, beside the script's folder


def roots(cwd: str) -> tuple[str, ...]:
    """Where imports begin in a run whose commands are run in the folder `cwd` of the repository."""
    return tuple(dict.fromkeys((*(f"{cwd}/{root}" for root in ROOTS if cwd != "."), *ROOTS)))


def module(name: str, beside: str, files: Collection[str], cwd: str = ".") -> str | None:
    """The file of the repository that `import name` means in a script beside which it stands."""
    parts = name.replace(".", "/")
    for root in dict.fromkeys([_prefix(beside), *roots(cwd)]):
        for path in (f"{root}{parts}.py", f"{root}{parts}/__init__.py"):
            if path in files:
                return path
    return None


def named(
    path: str,
    tree: ast.Module,
    scripts: Sequence[str],
    files: Collection[str],
    cwd: str = ".",
    *,
    executed: bool = True,
) -> Iterator[str]:
    """The files that a file imports; `executed`: those too that it only names, as what runs another one does.

    Beside `scripts`, which are what is started in `cwd`, imports begin too.
    """
    for node in ast.walk(tree):
        names = list[str]()
        match node:
            case ast.Import(names=aliases):
                names = [one.name for one in aliases]
            case ast.ImportFrom(module=text, level=0) if text:
                names = [text, *(f"{text}.{one.name}" for one in node.names)]
            case ast.ImportFrom(module=text, level=level):
                packages = PurePosixPath(path).parents
                if level > len(packages):
                    continue  # it leads out of the repository
                base = ".".join([*packages[level - 1].parts, *([text] if text else [])])
                begun = f"{base}." if base else ""
                names = [name for name in (base, *(f"{begun}{one.name}" for one in node.names)) if name]
            case ast.Constant(value=str() as text) if executed and text.endswith(".py"):
                near = f"{_prefix(path)}{text}"  # exec(open("configurator.py").read())
                from_cwd = PurePosixPath(cwd, text).as_posix()
                yield from dict.fromkeys(one for one in (near, from_cwd, text) if one in files)
        for name in names:
            yield from (
                one
                for beside in (path, *scripts)
                if (one := module(name, beside, files, cwd)) is not None and one != path
            )


def _prefix(path: str) -> str:
    folder = PurePosixPath(path).parent.as_posix()
    return "" if folder == "." else f"{folder}/"
