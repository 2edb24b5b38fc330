"""The examples run as they stand, at a reduced size."""

import ast
import inspect
import runpy
import sys
from importlib import import_module
from pathlib import Path

import pytest

import qdescent as qd

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
SCRIPTS = sorted(
    file for room in ("benchmarks", "examples", "tools") for file in (ROOT / room).rglob("*.py")
)


def missing(source):
    """Names that a script takes from qdescent, and that are not there."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qdescent"):
            for each in node.names:
                try:
                    if not hasattr(import_module(node.module), each.name):
                        import_module(f"{node.module}.{each.name}")
                except ModuleNotFoundError:
                    found.append(f"{node.module}.{each.name}")
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_scripts_take_from_the_package_is_there(script):
    """Benchmarks take hours and are run seldom: a name that has moved shows here."""
    assert missing(script.read_text()) == []


def test_a_name_that_has_moved_is_seen():
    assert missing("from qdescent.linalg.operator import moved") == [
        "qdescent.linalg.operator.moved"
    ]
    assert missing("from qdescent.gone import moved") == ["qdescent.gone.moved"]


def called_otherwise(source):
    """Calls of what a text imports from the package with arguments that it does not take."""
    tree, known, found = ast.parse(source), {}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qdescent"):
            module = import_module(node.module)
            for each in node.names:
                known[each.asname or each.name] = getattr(module, each.name, None)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        target = node.func
        if isinstance(target, ast.Name):
            called = known.get(target.id)
        elif isinstance(target, ast.Attribute) and getattr(target.value, "id", "") == "qd":
            called = getattr(qd, target.attr, None)  # an older tree may have it
        else:
            continue
        spread = any(isinstance(each, ast.Starred) for each in node.args)
        if not callable(called) or spread or any(each.arg is None for each in node.keywords):
            continue
        try:
            inspect.signature(called).bind(
                *node.args, **{each.arg: each.value for each in node.keywords}
            )
        except TypeError as error:
            found.append(f"line {node.lineno}: {ast.unparse(target)}: {error}")
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_scripts_call_the_package_with_what_it_takes(script):
    assert called_otherwise(script.read_text()) == []


def test_a_call_that_lacks_an_argument_is_seen():
    wrong = "from qdescent.learning.masks import full_mask\nfull_mask()"
    assert "line 2: full_mask: missing a required argument" in called_otherwise(wrong)[0]
    wrong = "import qdescent as qd\nqd.hessian(task, space, moved=1)"
    assert "line 2: qd.hessian: got an unexpected keyword" in called_otherwise(wrong)[0]


@pytest.fixture
def said(capsys, monkeypatch):
    """The lines that a script prints, run as the main program."""

    def run(name, *words):
        monkeypatch.setattr(sys, "argv", [name, *words])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out.splitlines()

    return run


def test_first_pass_in_python(said):
    circuit, direct = (line for line in said("first_pass.py", "--small") if "u_T" in line)
    values = [
        [float(x) for x in line[line.index("[") + 1 : line.index("]")].split(",")]
        for line in (circuit, direct)
    ]
    gap = max(abs(a - b) for a, b in zip(*values, strict=True))
    assert gap < 1e-3 * max(abs(b) for b in values[1])
    assert len((EXAMPLES / "first_pass.py").read_text().splitlines()) < 80  # of 100 characters


def test_carleman_of_an_equation(said):
    """The published rows come out of the text that it prints; the coarse Burgers run is near the
    published figures.
    """
    lines = said("carleman_ode.py", "--small")
    errors = [float(line.split()[-1]) for line in lines if line.startswith("logistic")]
    assert errors[:4] == [1.700034e-1, 5.373132e-2, 5.367442e-3, 5.356080e-5]
    assert errors[4:] == sorted(errors[4:])
    assert abs(errors[-1] - 9552.8) < 0.05
    burgers = [float(line.split()[-1]) for line in lines if line.startswith("Burgers")]
    assert all(
        abs(ours / published - 1) < 0.01
        for ours, published in zip(burgers, (0.123333, 0.058947), strict=True)
    )
    assert len((EXAMPLES / "carleman_ode.py").read_text().splitlines()) < 80  # of 100 characters
