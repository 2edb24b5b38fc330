"""What a terminal that knows no Unicode shows in the place of signs that it has not."""

from __future__ import annotations

import codecs

NAME = "qdescent.plain"
SIGNS = {
    "−": "-",
    "±": "+-",
    "×": "x",
    "·": "*",
    "–": "-",
    "—": "-",
    "…": "...",
    "≤": "<=",
    "≥": ">=",
    "≈": "~",
    "→": "->",
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
    "█": "#",
    "▏": "|",
    "•": "*",
    "\u202f": " ",
    "\u00a0": " ",
}


def plain(problem: UnicodeError) -> tuple[str, int]:
    """The error handler of streams: a sign in ASCII, or its number; never a question mark, which
    would take the minus from a number.

    Example:
        >>> "−3.2 ± 0.1 ☃".encode("ascii", NAME).decode()
        '-3.2 +- 0.1 \\\\u2603'
    """
    if not isinstance(problem, UnicodeEncodeError):
        raise problem
    told = ""
    for sign in problem.object[problem.start : problem.end]:
        told += SIGNS.get(sign, sign.encode("ascii", "backslashreplace").decode())
    return told, problem.end


codecs.register_error(NAME, plain)
