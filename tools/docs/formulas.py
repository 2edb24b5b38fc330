"""Formulas: LaTeX to MathML at build time; a browser needs neither a script nor a network."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

# What pymdownx.arithmatex leaves: \(...\) within a line, \[...\] on lines of its own.
_MARKED = re.compile(r'<(span|div) class="arithmatex">\s*\\([(\[])(.*?)\\[)\]]\s*</\1>', re.DOTALL)


def to_mathml(page: str) -> str:
    """The page's HTML with each formula as MathML; one that cannot be read ends the build."""

    def one(match: re.Match[str]) -> str:
        tag, opening, latex = match.groups()
        display = "block" if opening == "[" else "inline"
        formula = convert(html.unescape(latex).strip(), display=display)
        if "\\" in formula:  # a command that the converter does not know is left as it stands
            raise ValueError(f"cannot be typeset: {latex}")
        return f'<{tag} class="formula">{formula}</{tag}>'

    return _MARKED.sub(one, page)
