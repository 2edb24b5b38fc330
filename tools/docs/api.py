"""The API reference: the public names in the order and the groups of `qdescent.__all__`.

Documented besides are what the two namespaces hold, the nouns that public names return and nobody
makes, and what stands in its room because few need it. The package is read, not imported.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from functools import cache
from pathlib import Path

FACE = Path(__file__).parents[2] / "src" / "qdescent" / "__init__.py"
# What few need stands in its room, and here behind the name that those few look up first.
ALSO = {
    "MASKS": ("learning.pruning.criteria.Criterion",),
    "Mask": ("learning.pruning.nonzero.nonzero_mask",),
    "mask_from_scores": ("learning.masks.full_mask", "learning.torch_prune.mask_from_prune"),
    "hessian": (
        "learning.curvature.finite_differences.finite_difference_hessian",
        "linalg.operator.product_error",
    ),
    "gradient_map": ("learning.gradient_map.sparse_gradient_map",),
    "carleman_linearize": ("carleman.lifting.operator.carleman_operator",),
    "series_descent": (
        "solvers.series.SeriesSteps", "learning.taylor.gradient_series.GradientSeries",
    ),
    "best_history": ("carleman.majorant.history_kappa_bound",),
    "AdaptiveSchedule": ("training.tail_estimate.estimate_tail",),
    "read_record": ("report.record.write_record",),
}  # fmt: skip


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


def homes(source: str) -> dict[str, str]:
    """Public name -> the module it lives in: the lines for tools of the package's file."""
    blocks = [node for node in ast.parse(source).body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def documented(source: str) -> dict[str, dict[str, str]]:
    """Group -> full name of what its page holds -> "public", "namespace", "also" or "returned"."""
    where, found = homes(source), {}
    known = {f"{where[name]}.{name}" for name in where}
    for group, names in groups(source).items():
        page: dict[str, str] = {}
        for name in names:
            if where[name] == "qdescent":  # a namespace
                page[f"qdescent.{name}"] = "namespace"
                page |= {f"qdescent.{name}.{each}": "public" for each in exported(name)}
                known |= {f"{home}.{each}" for each, home in imported(tree(f"qdescent.{name}"))}
                continue
            page[f"qdescent.{name}"] = "public"
            also = [f"qdescent.{full}" for full in ALSO.get(name, ())]
            page |= dict.fromkeys([*also, *(criteria() if name == "MASKS" else ())], "also")
            for full in (f"{where[name]}.{name}", *also):
                page |= dict.fromkeys(returned(full, known), "returned")
            known |= set(page)
        found[group] = page
    return found


def exported(namespace: str) -> list[str]:
    """`__all__` of a namespace of the package."""
    (listed,) = (
        node.value
        for node in tree(f"qdescent.{namespace}").body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    names: list[str] = ast.literal_eval(listed)
    return names


def criteria() -> list[str]:
    """Full names of the functions that `MASKS` names."""
    room = "learning/pruning"
    text = (FACE.parent / room / "criteria.py").read_text(encoding="utf-8")
    return [
        f"qdescent.{room.replace('/', '.')}.{file}.{function}"
        for file, function in re.findall(r"Criterion\(\s*\"(\w+):(\w+)\"", text)
    ]


def returned(full: str, known: set[str]) -> list[str]:
    """Full names of the classes of the package that a function, or a class's methods, return, and
    that theirs return; without those of `known`.
    """
    found: list[str] = []
    waiting = [full]
    while waiting:
        module, _, name = waiting.pop(0).rpartition(".")
        nodes = [node for node in tree(module).body if getattr(node, "name", "") == name]
        for word in [word for node in nodes for word in annotated(node)]:
            one = class_called(word, module)
            if one and one not in known and one not in found and not word.startswith("_"):
                found.append(one)
                waiting.append(one)
    return found


def annotated(node: ast.stmt) -> list[str]:
    """The names in what a function, or the public methods of a class, say that they return."""
    functions = node.body if isinstance(node, ast.ClassDef) else [node]
    return [
        word.id
        for function in functions
        if isinstance(function, ast.FunctionDef)
        and (function is node or function.name == "__call__" or function.name[0] != "_")
        and function.returns is not None
        for word in ast.walk(function.returns)
        if isinstance(word, ast.Name)
    ]


def class_called(name: str, module: str) -> str:
    """The full name of the package's class that `name` means in a module; "": it means none."""
    source = tree(module)
    if any(isinstance(node, ast.ClassDef) and node.name == name for node in source.body):
        return f"{module}.{name}"
    return next((class_called(name, home) for each, home in imported(source) if each == name), "")


def imported(source: ast.Module) -> list[tuple[str, str]]:
    """(name, module) of what a file takes from the package."""
    return [
        (alias.name, node.module)
        for node in ast.walk(source)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qdescent.")
        for alias in node.names
    ]


@cache
def tree(module: str) -> ast.Module:
    """A module of the package, parsed."""
    path = FACE.parents[1] / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))


def pages(source: str) -> dict[str, tuple[str, str]]:
    """Path -> (title, Markdown) of an overview and of one page for each group."""
    made, overview = (
        {},
        ["# API\n", "`import qdescent as qd` gives all of these, in the order of the algorithm.\n"],
    )
    for group, names in documented(source).items():
        title = group[:1].upper() + group[1:]
        path = f"api/{re.sub(r'[^a-z]+', '-', re.split('[,:;]', group)[0].lower()).strip('-')}.md"
        public = [full for full, kind in names.items() if kind in ("public", "namespace")]
        rooms = [full for full in names if full not in public]
        body = "\n\n".join(
            f"::: {full}" + "\n    options: {members: false}" * (names[full] == "namespace")
            for full in public
        )
        if rooms:
            body += "\n\n# In their rooms\n\nWhat these return, and what few need.\n\n"
            body += "\n\n".join(
                f"::: {full}\n    options: {{show_root_full_path: true}}" for full in rooms
            )
        made[path] = (title, f'---\ntitle: "{title}"\n---\n\n# {title}\n\n{body}\n')
        links = ", ".join(f"[`{full.removeprefix('qdescent.')}`][{full}]" for full in public)
        overview.append(f"## [{title}]({Path(path).name})\n\n{links}\n")
    return {"api/index.md": ("Overview", "\n".join(overview)), **made}
