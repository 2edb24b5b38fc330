"""The gallery: each script of examples/gallery, executed, becomes a page.

The page holds its question, finding, figure, code and output. A script is what a user would write:
it prints, and it ends in `figure.show()`; Plotly lets a renderer of one's own take what is shown.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.metadata
import io
import json
import multiprocessing
import os
import re
import runpy
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import plotly.io
import torch
from plotly.io.base_renderers import ExternalRenderer

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "examples" / "gallery"
CACHE = ROOT / ".gallery"


def run(script: Path) -> dict:
    """What the script prints ("text") and shows ("figures", as Plotly's JSON).

    Raises:
        ValueError: it draws from torch's generator without a seed: its numbers would be others on
            each machine and at each build.
    """
    figures: list[dict] = []

    class Take(ExternalRenderer):
        def render(self, figure: dict) -> None:
            figures.append(json.loads(plotly.io.to_json(figure, validate=False)))

    plotly.io.renderers["take"] = Take()
    before, plotly.io.renderers.default = plotly.io.renderers.default, "take"
    seed, drawn = torch.seed(), torch.get_rng_state()
    try:
        with contextlib.redirect_stdout(io.StringIO()) as text:
            runpy.run_path(str(script), run_name="__main__")
    finally:
        plotly.io.renderers.default = before
    if torch.initial_seed() == seed and not torch.equal(torch.get_rng_state(), drawn):
        raise ValueError(f"{script.name} draws without a seed: `torch.manual_seed(0)` comes first")
    return {"text": text.getvalue(), "figures": figures}


def scripts() -> list[Path]:
    """In the order of the numbers that start the scripts' docstrings."""
    return sorted(
        SCRIPTS.glob("*.py"), key=lambda path: (int(head(path)[0].partition(".")[0]), path.name)
    )


def head(script: Path) -> tuple[str, str]:
    """The question ("3. Does ...?") and what the docstring says below it."""
    question, _, rest = (
        ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
    ).partition("\n")
    return question, rest.strip()


def finding(figure: dict) -> tuple[str, str]:
    """Title and subtitle of a figure: what is found, and what is shown."""
    title = figure["layout"].get("title", {})
    return title.get("text", ""), title.get("subtitle", {}).get("text", "")


def places() -> dict[Path, Path]:
    """Each script's file of its result: another one where it, the package or a library changes."""
    versions = sorted(f"{each.name} {each.version}" for each in importlib.metadata.distributions())
    state = hashlib.sha256("\n".join(versions).encode())
    for path in sorted((ROOT / "src").rglob("*.py")):
        state.update(path.read_bytes())
    found = {}
    for script in scripts():
        key = state.copy()
        key.update(script.read_bytes())
        found[script] = CACHE / f"{script.stem}-{key.hexdigest()[:16]}.json"
    return found


def kept(script: Path) -> dict | None:
    """Its result, where it was run as it stands; None: it was not."""
    path = places()[script]
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def results() -> dict[str, dict]:
    """Each script's result: run anew only where something changed."""
    CACHE.mkdir(exist_ok=True)
    wanted = places()
    missing = [script for script, path in wanted.items() if not path.exists()]
    # of the processes below: two threads each would wait for each other
    os.environ["OMP_NUM_THREADS"] = "1"
    alone = len(missing) < 2  # another process would import the libraries first
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        for script, result in zip(missing, (map if alone else pool.map)(run, missing), strict=True):
            for old in CACHE.glob(f"{script.stem}-*.json"):
                old.unlink()
            wanted[script].write_text(json.dumps(result), encoding="utf-8")
    return {
        script.stem: json.loads(path.read_text(encoding="utf-8")) for script, path in wanted.items()
    }


def pages(found: dict[str, dict]) -> dict[str, tuple[str, str]]:
    """Path -> (title, content): the overview, a page and the figures for each script."""
    overview, made = (
        [
            "# Gallery\n",
            "Each page is a question, and a script that answered it when this site was built.\n",
        ],
        {},
    )
    for script in scripts():
        name, (question, rest) = script.stem, head(script)
        question = question.partition(". ")[2]
        result = found[name]
        text = [f"# {question}\n"]
        for i, figure in enumerate(result["figures"]):
            said, shown = (
                re.sub(r"\^(-?\d+)", r"<sup>\1</sup>", words) for words in finding(figure)
            )
            height = figure["layout"].get("height", 430)
            text += [
                f"**{said}.**\n{{: .finding }}\n",
                f'<div class="figure" id="{name}-{i}" style="height: {height}px"></div>\n',
                f"{shown}.\n{{: .caption }}\n",
            ]
            if i == len(result["figures"]) - 1:
                overview.append(f"**[{question}]({name}.md)**\n: {said}.\n")
        text.append(
            f"{rest}\n\n## The"
            f" script\n\n`examples/gallery/{script.name}`\n\n```python\n{code(script)}\n```\n"
        )
        if result["text"]:
            text.append(f"## What it printed\n\n```text\n{result['text'].rstrip()}\n```\n")
        files = ("../assets/plotly.js", f"../assets/figures/{name}.js", "../assets/figures.js")
        text.append("\n".join(f'<script src="{file}"></script>' for file in files))
        made[f"gallery/{name}.md"] = (question, "\n".join(text))
        shown_all = {f"{name}-{i}": figure for i, figure in enumerate(result["figures"])}
        made[f"assets/figures/{name}.js"] = ("", f"const figures = {json.dumps(shown_all)};\n")
    return {"gallery/index.md": ("Overview", "\n".join(overview)), **made}


def code(script: Path) -> str:
    """The script without its docstring."""
    source = script.read_text(encoding="utf-8")
    end = ast.parse(source).body[0].end_lineno or 0
    return "\n".join(source.splitlines()[end:]).strip()
