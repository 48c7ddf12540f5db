"""The page of docs on both configurations is what the types say. `SCREENS=write` writes it anew."""

import json
import os
import re
from pathlib import Path

import pytest

from cockpit import cli, configuration
from cockpit.reference import EXAMPLE, SMALLEST, markdown
from loop.study import parse, reference

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_of_the_configuration_is_what_the_types_say() -> None:
    text = markdown(reference.markdown(reference.sections()))
    if os.environ.get("SCREENS") == "write":
        PAGE.write_text(text)
    assert PAGE.read_text() == text


def test_its_files_can_be_read(tmp_path: Path) -> None:
    assert parse(SMALLEST, tmp_path / "cockpit.toml").settings.steering == ["val_loss"]
    file = tmp_path / "config.toml"
    file.write_text(EXAMPLE)
    own = configuration.read(file)
    assert (own.theme, own.ascii, own.keys["merge"]) == ("light", False, "f2")


def test_the_whole_file_of_the_contract_can_be_read(tmp_path: Path) -> None:
    text = (PAGE.parent / "trial.md").read_text().partition("\n## cockpit.toml\n")[2]
    settings = parse(text.partition("```toml\n")[2].partition("```")[0], tmp_path / "cockpit.toml").settings
    assert all(
        getattr(settings, name) != field.default
        for name, field in type(settings).model_fields.items()
        if name != "model"
    )


def test_its_links_lead_to_what_is_there() -> None:
    for name, _, anchor in re.findall(r"\]\((\w[\w.-]*\.md)(#([\w-]+))?\)", PAGE.read_text()):
        heads = re.findall(r"^#+ (.*)$", (PAGE.parent / name).read_text(), re.M)
        assert not anchor or anchor in [re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads]


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    monkeypatch.setattr("sys.argv", ["cockpit", "config", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    return out if ended.value.code == 0 else f"{ended.value.code}: {err}"


def test_a_table_of_the_study_is_said_where_no_docs_are_at_hand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = PAGE.read_text()
    for words in ("run", "objectives"):
        text = said(monkeypatch, capsys, words)
        assert f"\n[{words}]\n" in f"\n{text}" and max(map(len, text.splitlines())) <= 80
        assert all(f"\n{line}\n" in page for line in text.splitlines() if not line.startswith("#"))
    (run,) = json.loads(said(monkeypatch, capsys, "run", "--json"))["tables"]
    timeout = next(key for key in run["keys"] if key["name"] == "timeout")
    assert (run["path"], timeout["default"], timeout["example"]) == (["run"], '"20 min"', 'timeout = "20 min"')
    whole = said(monkeypatch, capsys, "cockpit.toml")
    assert all(f"\n{section.header}\n" in f"\n{whole}" for section in reference.sections())
    assert said(monkeypatch, capsys, "objectivs").startswith(
        "2: cockpit: cockpit.toml has no table `objectivs`; put `obj"
    )
