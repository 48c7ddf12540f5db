"""For a terminal that has ASCII alone: every character beyond it becomes its twin, one column for one column.

It is done to what Textual is about to send, whoever drew it: nobody who draws knows of it.
"""

from functools import lru_cache

from rich.cells import cell_len, set_cell_size

TWINS = {
    **dict(zip("◊►◦✓✕▴▵⇅▾⊘◉∙▸◂◄", "*>.vx^'%,/o.><<", strict=True)),  # what stands for something
    **dict(zip("─━│╷╵┌┐└┘├┤┬┴┼╭╮╰╯", "-=|||+++++++++++++", strict=True)),  # lines
    **dict(zip("█▓▒░▌▏▎▍▋▊▉▐▀▔▁▂▃▄▅▆▇", "#%=.|||####|''_______", strict=True)),  # blocks
    **dict(zip("−–—±·…→←↑↓“”‘’«»×µ\u00a0", "---~.~><^v\"\"''<>xu ", strict=True)),  # in texts
    "⠼": "+",
    "🔎": "/ ",  # in the palette, two columns wide
}
BRAILLE = 0x2800
DOTS = (0x09, 0x12, 0x24, 0xC0)  # of a cell's four rows, from the top


@lru_cache(maxsize=4096)
def ascii_of(text: str) -> str:
    """A text in ASCII, in as many columns. What has no twin is a `?`, or several where it is wider."""
    if text.isascii():
        return text
    return set_cell_size("".join(map(_twin, text)), cell_len(text))


def _twin(character: str) -> str:
    if character.isascii() or character in TWINS:
        return TWINS.get(character, character)
    code = ord(character) - BRAILLE
    return _dots(code) if 0 <= code < 0x100 else "?" * cell_len(character)


def _dots(code: int) -> str:
    """A cell of a curve: high, in the middle or low; or upright, where it goes through all of these."""
    rows = [row for row, dots in enumerate(DOTS) if code & dots]
    if not rows:
        return " "
    return "|" if rows[-1] - rows[0] > 1 else "'--."[rows[0]] if rows[0] == rows[-1] else "'-."[rows[0]]
