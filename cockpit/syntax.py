"""Which words of a line of code are coloured: few kinds, and calm.

A line is looked at by itself, for only those on the screen are: a string over several lines is coloured by the line, as
if each stood alone. Some lexers take a time that grows with the square of a line: one that is long has no colours.
Pygments is imported when the first diff is read, and not before.
"""

from functools import lru_cache
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pygments.lexer import RegexLexer

LONGEST = 160  # characters of a line that is looked at
STYLES = {  # by the kind of a token, of which one may be a part of another
    "Comment.Preproc": "trunk",
    "Comment": "dim",
    "Keyword": "trunk",
    "Operator.Word": "trunk",
    "Literal.String": "pick",
    "Literal.Number": "pick",
}


@lru_cache(maxsize=256)
def lexer(name: str) -> "RegexLexer | None":
    """What knows the language of a file, by its name."""
    from pygments.lexers import find_lexer_class_for_filename

    found = find_lexer_class_for_filename(PurePath(name).name)
    return found() if found is not None else None


def spans(name: str, text: str) -> list[tuple[int, int, str]]:
    """The parts of a line of a file that are coloured, each with its style; none of a line that is long."""
    from pygments.token import string_to_tokentype

    if len(text) > LONGEST or (known := lexer(name)) is None:
        return []
    styles = [(string_to_tokentype(kind), style) for kind, style in STYLES.items()]
    found = []
    for at, token, words in known.get_tokens_unprocessed(text):
        style = next((style for kind, style in styles if token in kind), "")
        if style and words.strip():
            found.append((at, at + len(words), style))
    return found
