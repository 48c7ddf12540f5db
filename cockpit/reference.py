"""The page of docs that says what both configurations may hold, made from what holds them to it."""

from cockpit.configuration import SAYS
from cockpit.keys import shown
from cockpit.remapping import FIXED, OWNED, SAME, TAKEN
from cockpit.themes import THEMES

SMALLEST = '[run]\ntrain = "python train.py"\n[objectives]\nval_loss = { direction = "minimize" }\n'
EXAMPLE = f"""# {SAYS["theme"]}
theme = "light"

# {SAYS["ascii"]}
ascii = false

[keys]  # {SAYS["keys"]}
merge = "f2"
down = ["J", "down"]
help = ["?", "f1"]
"""


def markdown(study: str) -> str:
    """The whole page. `study` is its part on the tables of `cockpit.toml`."""
    themes = "".join(f"| `{theme.name}` | {theme.says} |\n" for theme in THEMES.values())
    owned = ", and ".join(f"`{shown(key)}` only `{name}`" for key, name in OWNED.items())
    fixed = ", ".join(f"`{shown(key)}`" for key in FIXED)
    taken = "; ".join(f"`{shown(key)}` ({why})" for key, why in TAKEN.items())
    same = ", ".join(f"`{shown(key)}` as `{shown(other)}`" for key, other in SAME.items())
    return f"""# Configuration

There are two files. `cockpit.toml`, at the top of your repository, is the study's: what runs, what is to be better,
what may be spent. `~/.config/cockpit/config.toml` is yours: the colours and keys of the screen. Neither has a key
that is not here, and a value that cannot be used is said with file, line, key and what to do.

## The study: cockpit.toml

`cockpit init` writes one from what it finds in your repository ([your-repository.md](your-repository.md)); a whole
one is in [trial.md](trial.md#cockpittoml), with how its keys work together. The smallest one that works:

```toml
{SMALLEST}```

Here is each table with all its keys: what each is for, what it takes, what holds without it, and a line as it may
stand. Not all of them go together. `cockpit config run` prints that of `[run]`, and `cockpit config cockpit.toml`
all. In TOML a table may also stand on the line of its name: `x = {{ max = 1 }}` in `[constraints]` and `max = 1` in
`[constraints.x]` are the same. A key that is not required may be left out.

{study}
## The screen: config.toml

`~/.config/cockpit/config.toml`, or `$XDG_CONFIG_HOME/cockpit/config.toml` where that is set, is read when a screen
opens. Without it all is as it comes. `cockpit config` prints where it is, and all of it as it counts now, what is not
yours as a comment: a file to begin with.

    mkdir -p ~/.config/cockpit && cockpit config > /tmp/config.toml && mv /tmp/config.toml ~/.config/cockpit/config.toml

Such a file is:

```toml
{EXAMPLE}```

What cannot be used is said, and the screen does not open:

    cockpit: /home/you/.config/cockpit/config.toml:5: `[keys] merge` cannot be "x", which is `reject`; put another

### Themes

| theme | |
| --- | --- |
{themes}
In `dark` and `light` every text has a contrast of 4.5:1 at least with what it stands on, also where there are 256
colours and no more. Without `theme` it is `dark`, or `terminal` where the terminal says that it has no more than 16
colours (`TERM` without `256color`, and no `COLORTERM`): the nearest of 16 to `dark` would make most greys white and
green cyan. `NO_COLOR` in the environment goes before all of these: then there is bold, underlined and reversed, and
no colour at all.

### ASCII

`ascii = true`, or `cockpit --ascii` for once, draws nothing beyond ASCII, each character in the columns that it takes
else: `*` for an offer, `^` and `,` for better and worse, `#` and `=` for bars, `'`, `-` and `.` for curves, `~` for
`±` and for what is cut. What has no twin, as letters of other scripts, is `?`. It is so by itself where the locale's
encoding is not UTF-8 (`LC_ALL=C`); `ascii = false` is then for a terminal that can do more than its locale says. It
is of the screen alone.

### Keys

`[keys]` gives names the keys that do what they stand for; [keys.md](keys.md) says what that is. A key is in quotes as
the help shows it: `"m"`, `"M"`, `"?"`, `"^d"` (or `"ctrl+d"`), `"f2"`, `"alt+m"`, `"pgdn"`. A name that is given keys
has those and no others, so say the arrow too where you give `down` another letter. Help, footer, palette and every
text on the screen say the keys that you gave; the numbers of the panels stay. `open` and `back` are in the panel of
the context what they are elsewhere.

Some keys are not given away:

- What is the same on every screen: {fixed}. And {owned}, for on a sheet they say yes and no. On a sheet and while you
  write, these stay.
- What something else takes: {taken}.
- What a terminal sends as another: {same}.
- A key that another name has in the same panel. Two names may change places: `merge = "x"` with `reject = "m"`."""
