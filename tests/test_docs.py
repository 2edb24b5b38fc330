"""The pages of docs/ and CONTRIBUTING: code runs, commands exist, names and formulas are sound."""

import doctest
import importlib
import re
import shlex
import sys
import types
import typing
from pathlib import Path

import api
import pytest
import torch

import qdescent as qd
from qdescent.cli import app

ROOT = Path(__file__).parent.parent
FACE = api.FACE.read_text(encoding="utf-8")
PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md"])
LANGUAGES = {
    "python",
    "bash",
    "text",
    "math",
    "toml",
}  # what a fence may hold: run, checked, or not code
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def blocks(page: Path, language: str) -> list[str]:
    return [
        code for found, code in FENCE.findall(page.read_text(encoding="utf-8")) if found == language
    ]


@pages
def test_all_code_is_fenced_and_says_its_language(page):
    text = page.read_text(encoding="utf-8")
    assert {language for language, _ in FENCE.findall(text)} <= LANGUAGES
    prose = FENCE.sub("", text)
    assert not re.findall(r"(?:\n\n|\A)(?:    |\t)\S.*", prose), (
        "indented code: no test would see it"
    )


SESSIONS = [page for page in PAGES if any(">>> " in code for code in blocks(page, "python"))]


@pytest.mark.parametrize("page", SESSIONS, ids=lambda page: page.stem)
def test_sessions_say_what_python_says(page):
    found = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert found.attempted > 15
    assert found.failed == 0


def small_project() -> types.ModuleType:
    """What the pages call `my_project`: a network and a batch."""
    project = types.ModuleType("my_project")
    project.build_network = lambda: torch.nn.Sequential(
        torch.nn.Linear(4, 6), torch.nn.GELU(), torch.nn.Linear(6, 3)
    )
    batch = torch.randn(12, 4, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 3
    project.load_batch = lambda: batch
    return project


SCRIPTS = [page for page in PAGES if page not in SESSIONS and blocks(page, "python")]


@pytest.mark.parametrize("page", SCRIPTS, ids=lambda page: page.stem)
def test_python_runs_in_the_order_of_the_page(page, monkeypatch):
    monkeypatch.setitem(sys.modules, "my_project", small_project())
    names: dict[str, object] = {}
    for code in blocks(page, "python"):
        exec(compile(code, page.name, "exec"), names)


def options(command: str) -> set[str]:
    """The flags of a subcommand, as the command line itself knows them."""
    parameters = app.commands[command].params
    return {flag for each in parameters for flag in (*each.opts, *each.secondary_opts)} | {"--help"}


def unknown_words(line: str) -> list[str]:
    """The words of a shell line that name no subcommand, flag, target or extra of this project."""
    words = shlex.split(line, comments=True)
    if "-m" in words[1:] and "qdescent" in words:
        words = words[words.index("qdescent") :]
    program = Path(words[0]).name if words else ""
    if program == "make":
        targets = re.findall(
            r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
        )
        return [word for word in words[1:] if "=" not in word and word not in targets]
    if program == "qdescent":
        known = {"--help"} if words[1].startswith("-") else options(words[1])
        return [
            word
            for word in words[1:]
            if word.startswith("--") and word.partition("=")[0] not in known
        ]
    if program == "pip":
        known = re.findall(
            r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
        )
        asked = [name for group in re.findall(r"\[(.*?)\]", line) for name in group.split(",")]
        return [name for name in asked if name not in known]
    return [] if program in ("", "cd", "git") else [program]


@pages
def test_commands_exist(page):
    for code in blocks(page, "bash"):
        for line in code.replace("\\\n", " ").splitlines():
            assert unknown_words(line) == [], line


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("qdescent run --orders 3", "--orders"),
        ("torchrun --nproc-per-node=2 -m qdescent spectrum a:b --probe 3", "--probe"),
        ("make tests", "tests"),
        ("pip install '.[picture,dev]'", "picture"),
        ("conda install qdescent", "conda"),
    ],
)
def test_a_planted_command_is_found(line, wrong):
    assert unknown_words(line) == [wrong]


@pages
def test_names_are_public(page):
    for name in re.findall(r"\bqd\.(\w+)", page.read_text(encoding="utf-8")):
        assert hasattr(qd, name), name


@pages
def test_links_lead_to_files(page):
    # by tools/docs; the strict build knows
    made = re.compile(r"(gallery|api)/\w+\.md|(changelog|settings)\.md|contributing\.md")
    for target in re.findall(r"\]\(((?!http)[^)#]+)", page.read_text(encoding="utf-8")):
        assert made.fullmatch(target) or (page.parent / target).exists(), target


def unsafe(text: str) -> list[str]:
    """Formulas that GitHub's Markdown would change before typesetting: * is emphasis, \\{ is {."""
    inline = re.findall(
        r"(?<![\\$`])\$(?!\$)([^$\n]+?)\$(?!\$)", re.sub(r"`[^`]*`", "", FENCE.sub("", text))
    )
    return [formula for formula in inline if re.search(r"\*|\\[{}|,;!\\#]|^\s|\s$", formula)]


@pages
def test_formulas_survive_markdown(page):
    assert unsafe(page.read_text(encoding="utf-8")) == []
    assert unsafe("the pivot $u^*$ and $\\{x\\}$") != []


def test_the_reference_follows_the_public_names():
    groups = api.groups(FACE)
    assert [name for names in groups.values() for name in names] == qd.__all__
    assert all(groups)
    planted = (
        '__all__ = [\n    # one\n    "a", "b",  # aside\n    # two\n    "c",\n]\nother = [\n    #'
        ' three\n    "d"]\n'
    )
    assert api.groups(planted) == {"one": ["a", "b"], "two": ["c"]}


def test_the_reference_holds_the_namespaces_and_what_is_returned():
    found = {full: kind for page in api.documented(FACE).values() for full, kind in page.items()}
    for full in found:
        module, _, name = full.rpartition(".")
        # MASKS is data, with its words below it
        assert name == "MASKS" or getattr(importlib.import_module(module), name).__doc__, full
    public = {name for name in qd.__all__ if name not in ("networks", "datasets")}
    public |= {f"networks.{name}" for name in qd.networks.__all__}
    public |= {f"datasets.{name}" for name in qd.datasets.__all__}
    assert {full for full, kind in found.items() if kind == "public"} == {
        f"qdescent.{name}" for name in public
    }
    # what a call gives is documented, once
    for call in (qd.spectral_density, qd.solve, qd.history_system, qd.row_sparsity):
        noun = typing.get_type_hints(call)["return"]
        assert found[f"{noun.__module__}.{noun.__name__}"] == "returned"
    nouns = [full.rpartition(".")[2] for full in found]
    assert len(nouns) == len(set(nouns))
    homes = {criterion.home.replace(":", ".") for criterion in qd.MASKS.values()}
    assert {f"qdescent.learning.pruning.{home}" for home in homes} <= set(found)


def test_formulas_become_mathml():
    formulas = pytest.importorskip("formulas", reason="needs the extra `docs`")
    inline = '<p>at <span class="arithmatex">\\(\\lVert x \\rVert &lt; 1/2\\)</span></p>'
    page = inline + '<div class="arithmatex">\n\\[E = m c^2\\]\n</div>'
    made = formulas.to_mathml(page)
    assert made.count("<math ") == 2
    assert made.count('display="block"') == 1
    assert "&#x0003C;" in made  # what HTML had escaped is a relation again
    assert '<mo stretchy="false" lspace="0" rspace="0">&#x02016;</mo>' in made
    with pytest.raises(ValueError, match="cannot be typeset: x \\\\unheard y"):
        formulas.to_mathml('<span class="arithmatex">\\(x \\unheard y\\)</span>')


def test_only_notes_in_a_row_get_a_comma():
    pytest.importorskip("mkdocs")
    hooks = importlib.import_module("hooks")

    pair = '<sup id="fnref:a">1</sup><sup id="fnref:b">2</sup>'
    apart = '<sup id="fnref:a">1</sup> and <sup id="fnref:b">2</sup>'
    assert hooks.notes_apart(pair) == pair.replace("</sup><sup", "</sup><sup>, </sup><sup")
    assert hooks.notes_apart(apart) == apart


def test_docstrings_are_read_as_they_are_meant():
    docstrings = pytest.importorskip("docstrings", reason="needs the extra `docs`")
    text = (
        "Short.\n\nArgs:\n    a, b: the two,\n        in order.\n    gram: <u, v>.\n\nExample:\n   "
        " >>> f(1, 2) < 3\n    True\n"
    )
    made = docstrings.for_griffe(text)
    assert "    a: the two,\n        in order.\n    b: the two,\n        in order.\n" in made
    assert "&lt;u, v>" in made
    assert "\nExamples:\n    >>> f(1, 2) < 3\n" in made
