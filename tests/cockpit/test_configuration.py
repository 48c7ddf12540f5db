"""A user's configuration: what is wrong with it is said with its line, and what it gives is what the screen says."""

import json
import re
from pathlib import Path

import pytest

from cockpit import cli, configuration
from cockpit.configuration import CONFIGURATION, Configuration, read, written
from cockpit.keys import KEYS, TABLE, Keymap, help_lines, pressed, shown
from cockpit.panels import PANELS
from cockpit.remapping import EVERY
from cockpit.sheets import Help, Merge
from store.where import Misconfigured
from tests.cockpit.test_app import Asked, Open, asked, picture, press, settled, study  # noqa: F401


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_without_a_file_all_is_as_it_comes(file: Path) -> None:
    assert read(file) == CONFIGURATION


def test_the_file_is_where_xdg_says_or_in_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/else/where")
    assert configuration.place() == Path("/else/where/cockpit/config.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", "not/absolute")
    monkeypatch.setenv("HOME", "/home/a")
    assert configuration.place() == Path("/home/a/.config/cockpit/config.toml")


def test_keys_that_change_places_clash_with_nobody(file: Path) -> None:
    file.write_text(
        'theme = "light"\nascii = true\n[keys]\nmerge = "x"\nreject = ["m", "f2"]\nhelp = "esc"\nback = "?"\n'
    )
    with pytest.raises(Misconfigured, match=r":6: .*only back has it$"):
        read(file)
    file.write_text(
        'theme = "light"\nascii = true\n[keys]\nmerge = "x"\nreject = ["m", "f2"]\nhelp = "^h"\n'.replace("^h", "%")
    )
    own = read(file)
    assert (own.theme, own.is_ascii) == ("light", True)
    assert own.keys.given == {"merge": ("x",), "reject": ("m", "f2"), "help": ("percent_sign",)}
    assert [own.keys[name] for name in ("merge", "reject", "help", "undo")] == ["x", "m", "%", "u"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\ncolour = 1", ":2: `colour` is not a key that cockpit knows; take it out"),
        ("asci = true", ":1: `asci` is not a key that cockpit knows; put `ascii`, if that is meant"),
        ('theme = "drak"', ":1: `theme` is no theme; put one of dark, light, terminal, in quotes"),
        ("theme = [1]", ":1: `theme` is no theme; put one of dark, light, terminal, in quotes"),
        ('ascii = "yes"', ":1: `ascii` is true or false, without quotes"),
        ('keys = "m"', ":1: `keys` is a table"),
        ('[keys]\nmrege = "m"', ":2: `[keys] mrege` is nothing that has a key; put `merge`, if that is meant"),
        ("[keys]\nmerge = []", ":2: `[keys] merge` is a key in quotes"),
        ('[keys]\nmerge = ["m", 1]', ":2: `[keys] merge` is a key in quotes"),
        ('[keys]\nmerge = "x"', ':2: `[keys] merge` cannot be "x", which is `reject`'),
        ('[keys]\ntree = "u"', ':2: `[keys] tree` cannot be "u", which is `undo`'),
        (
            '[keys]\nundo = "t"',
            ':2: `[keys] undo` cannot be "t", which is `prompt` and `tokens` and `tree`',
        ),
        ('[keys]\nundo = "f2"\nredo = "f2"', ':3: `[keys] redo` cannot be "f2", which is `undo`; put another'),
        ('[keys]\nundo = "ctrl+b"', ':2: `[keys] undo` cannot be "^b": tmux takes it'),
        ('[keys]\nundo = "tab"', ':2: `[keys] undo` cannot be "tab", which is next on every screen'),
        ('[keys]\nquit = "^c"', ':2: `[keys] quit` cannot be "^c", which is quit on every screen'),
        (
            '[keys]\nreject = "enter"',
            ':2: `[keys] reject` cannot be "enter": on a sheet that says yes, so only open has',
        ),
        ('[keys]\nundo = "f2 f3"', ":2: `[keys] undo` is a key in quotes"),
        ('[keys]\nundo = "shift+u"', ':2: `[keys] undo` cannot be "shift+u"; put "U"'),
        ('[keys]\nundo = "ctrl+m"', ':2: `[keys] undo` cannot be "^m": a terminal sends "enter" for it'),
        ('[keys]\nundo = "Escape"', ':2: `[keys] undo` cannot be "Escape", which is no key; put "esc"'),
        ('[keys]\nundo = "a"\nundo = "b"', ":3: `[keys] undo` is said twice"),
        ("[keys", ": Expected ']'"),
    ],
)
def test_an_error_names_the_file_the_line_the_key_and_what_to_do(file: Path, text: str, said: str) -> None:
    file.write_text(f"{text}\n")
    with pytest.raises(Misconfigured) as error:
        read(file)
    assert str(error.value).startswith(f"{file}{said}")
    assert "\n" not in str(error.value), "nothing else is wrong with it"


def test_what_is_printed_is_a_file_that_says_the_same(file: Path) -> None:
    own = Configuration("terminal", True, Keymap({"merge": ("x",), "reject": ("m", "f2"), "help": ("percent_sign",)}))
    for one in (own, CONFIGURATION):
        file.write_text(written(one, file))
        assert read(file) == one
    file.write_text(re.sub(r"^# (?=\w+ = )", "", file.read_text(), flags=re.MULTILINE))
    every = read(file).keys
    assert every.given.keys() == EVERY.keys(), "every name is there"
    assert all(every.of(key) == TABLE.of(key) for key in EVERY.values())


def test_the_command_says_what_counts_or_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    file = configuration.place()
    file.parent.mkdir()

    def status() -> object:
        with pytest.raises(SystemExit) as ended:
            monkeypatch.setattr("sys.argv", ["cockpit", "config", "--json"])
            cli.main()
        return ended.value.code

    file.write_text('[keys]\nfilter = "^f"\n')
    assert status() == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["file"], said["keys"]["filter"], said["keys"]["help"]) == (str(file), ["^f"], ["?"])
    file.write_text('[keys]\nfilter = "u"\n')
    assert status() == cli.CONFIGURATION
    assert f"{file}:2: `[keys] filter` cannot be" in capsys.readouterr().err


def test_every_key_is_read_as_it_is_said_and_every_name_can_be_written_without_quotes() -> None:
    for key in (*KEYS, *EVERY.values()):
        assert all(pressed(shown(one)) == one for one in key.keys.split(","))
    assert all(re.fullmatch(r"[a-z_0-9]+", name) for name in EVERY)


def test_a_name_stands_for_the_same_key_wherever_it_does() -> None:
    for panel in PANELS:
        assert all(key.keys == EVERY[key.name].keys for key in panel.keys)


async def test_other_keys_do_it_and_are_what_the_screen_says(study: Open, asked: Asked) -> None:  # noqa: F811
    given = {
        "merge": ("f2",),
        "merge_at_once": ("f4",),
        "run": ("percent_sign",),
        "tree": ("f3",),
        "undo": ("m",),
        "help": ("f5",),
    }
    app = study(configuration=Configuration(keys=Keymap(given)))
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        assert "f2 merge" in picture(app) and "% pause" in picture(app)
        await press(pilot, "f3")
        assert app.choices.tree
        await press(pilot, "r", "t")
        assert app.choices.tree and asked == []
        await press(pilot, "m")
        await settled(pilot)
        assert [verb for verb, _, _ in asked] == ["undo"]
        await press(pilot, "f5")
        assert isinstance(app.screen, Help)
        assert "f2 and x take all marked" in picture(app) and "f3        a tree of parents" in picture(app)
        await press(pilot, "f5")
        await press(pilot, "f3", "f2")
        assert isinstance(app.screen, Merge)
        await settled(pilot)
        assert "f4 merge it unconfirmed" in picture(app) and "m   while it is the last decision" in picture(app)
        await press(pilot, "M")
        assert isinstance(app.screen, Merge)
        await press(pilot, "f4")
        await settled(pilot)
        assert asked[-1][0] == "merge"


def test_the_help_has_room_for_keys_with_long_names() -> None:
    said = [line.text for line in help_lines(100, "", (), Keymap({"down": ("ctrl+shift+down",), "up": ("alt+k",)}))]
    assert any("ctrl+shift+down alt+k down, up" in text for text in said)
