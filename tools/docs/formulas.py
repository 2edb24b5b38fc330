"""Formulas: LaTeX to MathML at build time; a browser needs neither a script nor a network."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

# What pymdownx.arithmatex leaves: \(...\) within a line, \[...\] on lines of its own.
_MARKED = re.compile(r'<(span|div) class="arithmatex">\s*\\([(\[])(.*?)\\[)\]]\s*</\1>', re.DOTALL)
# What the converter leaves to a browser's guess: bars of a norm grow beyond their line, bars and
# slashes stand apart from what they belong to, and "similar" comes as a tilde.
_TIGHT = '<mo stretchy="false" lspace="0" rspace="0">'
_REPAIRS = {
    "<mo>&#x02016;</mo>": f"{_TIGHT}&#x02016;</mo>",
    '<mo stretchy="false">&#x0007C;</mo>': f"{_TIGHT}&#x0007C;</mo>",
    "<mo>&#x0002F;</mo>": f"{_TIGHT}&#x0002F;</mo>",
    "<mi>&#x0007E;</mi>": "<mo>&#x0223C;</mo>",
}


def to_mathml(page: str) -> str:
    """The page's HTML with each formula as MathML; one that cannot be read ends the build."""

    def one(match: re.Match[str]) -> str:
        tag, opening, latex = match.groups()
        display = "block" if opening == "[" else "inline"
        formula = convert(html.unescape(latex).strip(), display=display)
        if "\\" in formula:  # a command that the converter does not know is left as it stands
            raise ValueError(f"cannot be typeset: {latex}")
        for wrong, right in _REPAIRS.items():
            formula = formula.replace(wrong, right)
        return f'<{tag} class="formula">{formula}</{tag}>'

    return _MARKED.sub(one, page)
