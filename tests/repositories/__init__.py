"""Five small repositories in the style of real ones, which know nothing of cockpit, and what they need around them.

    nanogpt      globals that a configurator overrides, a hard-coded seed, data that git ignores beside what it has
    checkpoint   argparse, a checkpoint after each epoch, an evaluation
    trainer      the Trainer of Hugging Face; a few lines stand in for transformers
    vision       Hydra, a folder of data that git ignores; a few lines stand in for Hydra
    package      a src layout, installed editable in an environment of its own, without Accelerate
"""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NAMES = ("nanogpt", "checkpoint", "trainer", "vision", "package")
COMMANDS = {
    "nanogpt": ("python", "train.py", "config/train_tiny.py"),
    "checkpoint": ("python", "train.py"),
    "trainer": ("python", "train.py", "--output_dir", "out", "--learning_rate", "5e-5"),
    "vision": ("python", "train.py"),
    "package": ("python", "-m", "tinylab.train"),
}
STANDINS = {"trainer": "transformers", "vision": "hydra"}


def made(name: str, folder: Path) -> Path:
    """A fresh repository with one commit, its data and its environment, neither of which git has."""
    shutil.copytree(HERE / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "begin"]):
        identity = {f"GIT_{who}_{what}": "somebody@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        subprocess.run(["git", *words], cwd=folder, check=True, env={**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", **identity})
    _data(name, folder)
    _environment(name, folder)
    return folder


def _data(name: str, folder: Path) -> None:
    rng = random.Random(0)
    if name == "nanogpt":
        subprocess.run([sys.executable, "data/tiny/prepare.py"], cwd=folder, check=True)
    elif name == "checkpoint":
        (folder / "data").mkdir()
        points = [(rng.gauss(0, 1), rng.gauss(0, 1)) for _ in range(200)]
        rows = (f"{x:.3f},{y:.3f},{int(x * x + y * y + rng.gauss(0, 0.3) > 1.2)}\n" for x, y in points)
        (folder / "data/points.csv").write_text("".join(rows))
    elif name == "vision":
        for split, count in (("train", 60), ("test", 300)):
            (folder / "data/shapes" / split).mkdir(parents=True)
            for number in range(count):
                label = 1 if number % 2 else -1
                pixels = " ".join(f"{label * (k % 3 - 1) + rng.gauss(0, 2):.3f}" for k in range(9))
                (folder / f"data/shapes/{split}/{number}.txt").write_text(f"{label} {pixels}")


def _environment(name: str, folder: Path) -> None:
    """A `.venv` with the standard library, and what the repository imports besides."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--symlinks", str(folder / ".venv")], check=True)
    packages = next((folder / ".venv/lib").glob("python3*/site-packages"))
    if standin := STANDINS.get(name):
        shutil.copytree(HERE / "standins" / standin, packages / standin, ignore=shutil.ignore_patterns("__pycache__"))
    if name == "package":  # as `pip install -e .` leaves it
        (packages / "__editable__.tinylab-0.3.0.pth").write_text(f"{folder / 'src'}\n")
        about = packages / "tinylab-0.3.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tinylab\nVersion: 0.3.0\n")
        said = {"url": f"file://{folder}", "dir_info": {"editable": True}}
        (about / "direct_url.json").write_text(json.dumps(said))
