"""The themes: what the names of styles stand for. Dark, light, the terminal's own sixteen colours, and no colour."""

import dataclasses
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console

if TYPE_CHECKING:
    from textual.theme import Theme as Chrome


class Theme(Struct, frozen=True, eq=False):
    """What each name of a style, and of a ground, stands for: words that Rich knows. A name may have none.

    `NAME on GROUND` is what a name stands for on that ground, where that is something else than elsewhere.
    """

    name: str
    styles: Mapping[str, str]
    grounds: Mapping[str, str]
    is_dark: bool = True
    says: str = ""  # to a user who chooses among them

    @property
    def is_own(self) -> bool:
        """Whether the background, and the colours if there are any, are the terminal's own."""
        return not self.grounds["page"]


# Okabe and Ito's colours, which the colour-blind can tell apart, lighter where 4.5:1 on the background asks for it.
DARK = Theme(
    "dark",
    {
        "text": "#D7DCE2",
        "dim": "#959DA7",  # no evidence yet, or no news
        "faint": "#78818B",  # uncertainties, line numbers
        "faint on selected": "#959DA7",
        "rule": "#464E58",
        "sky": "#56B4E9",  # live, focus, selection, keys, the front
        "offer": "#F0E442",
        "good": "#2FBF95",
        "bad": "#E69F00",  # bad news about a proposal
        "refused": "#A8780A",
        "infra": "#F0714A",  # what is broken around it
        "trunk": "#6AAEE0",
        "pick": "#D58AB5",
        "judged": "#4E545B",
    },
    {
        "selected": "on #22303C",
        "bar": "on #1B1F24",
        "page": "on #111417",  # what stands on none, and on a line that has one
        "added": "on #10303F",
        "removed": "on #33270C",
        "added-word": "on #1F6285",
        "removed-word": "on #76520A",
    },
    says="as it comes",
)
# The same hues, darker.
LIGHT = Theme(
    "light",
    {
        "text": "#1F252B",
        "dim": "#565F69",
        "faint": "#646D77",
        "faint on selected": "#565F69",
        "rule": "#B9C0C8",
        "sky": "#00609C",
        "offer": "#6F5B00",
        "good": "#006B50",
        "bad": "#9A4600",
        "refused": "#7C5200",
        "infra": "#B3230A",
        "trunk": "#22589C",
        "pick": "#8F3570",
        "judged": "#B4BAC1",
    },
    {
        "selected": "on #DCE9F4",
        "bar": "on #ECEFF2",
        "page": "on #FAFBFC",
        "added": "on #DFF0F9",
        "removed": "on #FAECD3",
        "added-word": "on #B4DCF2",
        "removed-word": "on #F3D49A",
    },
    is_dark=False,
    says="the same hues, darker, on a light ground",
)
# Of 256 colours the nearest to some grounds would be bright: these are there as they stand.
COARSE = {
    DARK: replace(
        DARK,
        name="dark-256",
        grounds={**DARK.grounds, "selected": "on #262626", "added": "on #00005F", "removed-word": "on #5F5F00"},
    ),
    LIGHT: replace(LIGHT, name="light-256", grounds={**LIGHT.grounds, "selected": "on #EEEEEE"}),
}
MARKS = {"added-word": "bold underline", "removed-word": "bold underline", "selected": "reverse"}  # in place of grounds
UNCOLOURED = Theme("none", {"offer": "bold"}, {name: MARKS.get(name, "") for name in DARK.grounds})
TERMINAL = Theme(
    "terminal",
    {
        "dim": "bright_black",
        "faint": "bright_black",
        "rule": "bright_black",
        "sky": "bright_cyan",
        "offer": "bright_yellow",
        "good": "green",
        "bad": "yellow",
        "refused": "yellow",
        "infra": "bright_red",
        "trunk": "bright_blue",
        "pick": "magenta",
        "judged": "bright_black",
    },
    UNCOLOURED.grounds,
    says="your terminal's own 16 colours, on its own ground: as readable as those are. Its bright black has to be told "
    "from its ground",
)
THEMES = {theme.name: theme for theme in (DARK, LIGHT, TERMINAL)}  # of which a configuration names one


def chosen(name: str | None) -> Theme:
    """The theme of this name; of no name, dark, or where the terminal has 16 colours, those. NO_COLOR goes first."""
    if "NO_COLOR" in os.environ:  # as Textual asks it
        return UNCOLOURED
    has = Console(force_terminal=True).color_system
    theme = THEMES[name] if name is not None else TERMINAL if has == "standard" else DARK
    return COARSE.get(theme, theme) if has == "256" else theme


def drawn_in(chrome: str) -> Theme:
    """The theme of which Textual knows the other half by this name."""
    return {f"cockpit-{theme.name}": theme for theme in (*THEMES.values(), *COARSE.values(), UNCOLOURED)}.get(
        chrome, DARK
    )


def chrome(theme: Theme) -> "Chrome":
    """The same for what Textual draws itself: the screen behind the lines, frames, what is written on, the palette."""
    from textual.theme import BUILTIN_THEMES
    from textual.theme import Theme as Chrome

    if theme.is_own:
        known = BUILTIN_THEMES["ansi-dark"]
        frame = f"ansi_{theme.styles.get('sky', 'default')}"  # what is behind it is as bright as it is
        return dataclasses.replace(known, name=f"cockpit-{theme.name}", variables={**known.variables, "border": frame})
    grounds = {name: words.removeprefix("on ") for name, words in theme.grounds.items()}
    return Chrome(
        f"cockpit-{theme.name}",
        primary=theme.styles["sky"],
        foreground=theme.styles["text"],
        background=grounds["page"],
        surface=grounds["bar"],
        panel=grounds["bar"],
        dark=theme.is_dark,
        variables={"border": theme.styles["sky"]},
    )
