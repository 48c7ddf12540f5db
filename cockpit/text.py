"""The one sanitiser: text from logs, diffs, models and files, made safe to print on a terminal.

A terminal obeys what it is sent: foreign text could move the cursor, set the clipboard (OSC 52) or the title, or
reorder what is read (bidirectional controls). Whatever comes from outside cockpit becomes `Clean` here before a face
shows it.
"""

import re
import unicodedata
from typing import NewType

Clean = NewType("Clean", str)

LONGEST_LINE = 4_000
# ECMA-48: a control string (OSC, DCS, SOS, PM, APC) up to its terminator, a CSI sequence, any other escape sequence.
SEQUENCE = re.compile(
    r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?"
)
TAB_WIDTH = 8


def clean(text: str) -> Clean:
    """Text without terminal sequences; other controls become visible pictures, and lines have an end."""
    if text.isprintable() and len(text) <= LONGEST_LINE:  # most is, and a screen asks a thousand times
        return Clean(text)
    lines = (_line(line) for line in SEQUENCE.sub("", text).replace("\r\n", "\n").split("\n"))
    return Clean("\n".join(lines))


def _line(line: str) -> str:
    line = line[: LONGEST_LINE + 1].expandtabs(TAB_WIDTH)
    shown = line if line.isprintable() else "".join(map(_shown, line))
    return shown if len(shown) <= LONGEST_LINE else f"{shown[: LONGEST_LINE - 1]}…"


def _shown(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    # Cc: C1 controls; Cf: format controls, bidirectional ones among them; Cs: lone surrogates; Zl, Zp: line separators.
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return f"<U+{code:04X}>"
    return character
