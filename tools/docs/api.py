"""The API reference: the public names in the order and the groups of `qdescent.__all__`."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

FACE = Path(__file__).parents[2] / "src" / "qdescent" / "__init__.py"


def groups(source: str) -> dict[str, list[str]]:
    """The strings of the list `__all__`, under the comment line that stands above them.

    The package's file is read, not imported: a comment is not there any more once it is imported.
    """
    found: dict[str, list[str]] = {}
    group, depth = "", 0
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    for token in tokens:
        if token.string == "__all__":
            break
    for token in tokens:
        depth += (token.string in "[(") - (token.string in "])") if token.type == tokenize.OP else 0
        if token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip():
            group = token.string.lstrip("# ")
        elif token.type == tokenize.STRING and depth:
            found.setdefault(group, []).append(token.string.strip("\"'"))
        elif token.string == "]" and not depth:
            break
    return found


def pages(source: str) -> dict[str, tuple[str, str]]:
    """Path -> (title, Markdown) of an overview and of one page for each group."""
    made, overview = (
        {},
        ["# API\n", "`import qdescent as qd` gives all of these, in the order of the algorithm.\n"],
    )
    for group, names in groups(source).items():
        title = group[:1].upper() + group[1:]
        path = f"api/{re.sub(r'[^a-z]+', '-', re.split('[,:;]', group)[0].lower()).strip('-')}.md"
        body = "\n\n".join(f"::: qdescent.{name}" for name in names)
        made[path] = (title, f'---\ntitle: "{title}"\n---\n\n# {title}\n\n{body}\n')
        links = ", ".join(f"[`{name}`][qdescent.{name}]" for name in names)
        overview.append(f"## [{title}]({Path(path).name})\n\n{links}\n")
    return {"api/index.md": ("Overview", "\n".join(overview)), **made}
