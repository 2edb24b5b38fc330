"""The front door: names that load their room when they are asked for, help and refusals without
torch.
"""

import ast
import json
import os
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

import qdescent as qd

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "numpy", "scipy", "qualtran", "cirq", "qdk", "plotly", "rich")
# runs the command line and says at its end which of the heavy packages were imported
PROBE = f"""
import json, sys
from qdescent.cli import main
try:
    main()
finally:
    sys.stderr.write("\\n" + json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""


def python(code: str, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def loaded(*words: str, cwd: Path | None = None) -> tuple[int, str, list[str]]:
    """(exit code, what was said, heavy packages that were imported) of the command line."""
    result = python(PROBE, *words, cwd=cwd)
    said, _, names = (result.stdout + result.stderr).rpartition("\n")
    return result.returncode, said, json.loads(names)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "Usage"),
        (("--help",), "what would the quantum computer answer"),
        (("run", "--help"), "--circuit-learning-rate"),
        (("spectrum", "--help"), "--shard-vectors"),
        (("circuit", "--help"), "--amplify"),
    ],
)
def test_help_imports_nothing_heavy_and_speaks_to_users(words, text):
    _, said, names = loaded(*words)
    assert text in " ".join(said.split())
    assert names == []
    for jargon in ("TOML file ->", "only place", "module docstring", "click", "_checks"):
        assert jargon not in said


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("runs", "No such command"),
        ("run --densty 0.1", "No such option"),
        ("run --density many", "Argument `density` must be in (0, 1], but is 'many'."),
        ("run --rounds 1.5", "Argument `rounds` must be an integer of at least 1, but is '1.5'."),
        ("run --density 1.5", "Argument `density` must be in (0, 1], but is 1.5."),
        ("run --prune-by best", "Argument `prune_by` must be one of 'magnitude', 'layerwise-"),
        ("run --order 7", "Argument `order` must be in [1, 6], but is 7"),
        ("run --tolerance 0.1 --rounds 0", "Argument `rounds` must be"),
        ("run --shots 0", "Argument `shots` must be an integer of at least 1, but is 0."),
        ("run --config bad.toml", "(did you mean 'density'?)"),
        ("run --config missing.toml", "Argument `config` must be"),
        ("run --circuit-order 9", "Argument `circuit_order` must leave the explicit history"),
        ("spectrum", "Argument `network` must be given (see qdescent spectrum --help)"),
        ("spectrum a:b", "Argument `data` must be given"),
        ("spectrum a:b --data c.npz --momentum 1", "Argument `momentum` must be in [0, 1)"),
        ("spectrum a:b --data c.npz --curvature h", "Argument `curvature` must be one of"),
        ("spectrum a:b --data c.npz --prune-by snip", "Argument `density` must be given where"),
        ("spectrum a:b --data c.npz --density .1 --mask m", "Argument `density` must be left out"),
        ("circuit", "Argument `source` must be given (see qdescent circuit --help)"),
        (
            "circuit a.npz --loader guess",
            "Argument `loader` must be one of 'qrom', 'qrom-measured'",
        ),
        ("circuit a.npz --epsilon 0", "Argument `epsilon` must be in (0, 1), but is 0.0."),
    ],
)
def test_a_bad_argument_is_refused_before_anything_heavy_is_imported(tmp_path, words, text):
    (tmp_path / "bad.toml").write_text("densty = 0.2\n")
    code, said, names = loaded(*words.split(), cwd=tmp_path)
    assert code == 2
    assert text in " ".join(said.split())
    assert names == []
    assert [path.name for path in tmp_path.iterdir()] == ["bad.toml"]


def test_what_is_heavy_is_seen():
    names = python(PROBE.replace("main()", "import numpy", 1)).stderr.rpartition("\n")[2]
    assert "numpy" in json.loads(names)


def test_importing_the_package_imports_no_torch_and_a_mask_no_qualtran():
    code = "import sys, qdescent; print('torch' in sys.modules, 'numpy' in sys.modules)"
    assert python(code).stdout.split() == ["False", "False"]
    code = "from qdescent import Mask; " + code.replace("numpy", "cirq")
    assert python(code).stdout.split() == ["True", "False"]


def test_the_names_for_tools_and_the_homes_of_names_are_one_list():
    tree = ast.parse((ROOT / "src/qdescent/__init__.py").read_text(encoding="utf-8"))
    (block,) = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    ]
    shown = {alias.name: node.module for node in block.body for alias in node.names}
    assert shown == qd._HOMES
    assert sorted(shown) == sorted(qd.__all__)
    for name, home in shown.items():
        assert getattr(qd, name) is getattr(sys.modules[home], name)


def test_the_package_answers_as_if_it_had_imported_everything():
    assert set(qd.__all__) <= set(dir(qd))
    with pytest.raises(AttributeError, match="module 'qdescent' has no attribute 'solv'"):
        _ = qd.solv
    with pytest.raises(ImportError, match="cannot import name 'solv' from 'qdescent'"):
        from qdescent import solv  # noqa: F401
    names: dict[str, object] = {}
    exec("from qdescent import *", names)
    assert set(qd.__all__) <= set(names)
    text = pydoc.plain(pydoc.render_doc(qd))
    assert "series_descent(task" in text
    assert "class QSVT" in text


def test_the_choices_of_a_circuit_are_those_that_its_pipeline_knows():
    from qdescent.experiment.circuit import pipeline, settings

    assert tuple(pipeline.SOLVERS) == settings.SOLVERS
    assert tuple(pipeline.ENCODINGS) == settings.ENCODINGS


def test_the_first_product_waits_for_no_compiler_no_statistics_and_no_symbolic_algebra():
    """Each of these takes as long as a small measurement: torch's compiler by itself seconds, sympy
    one at the first adjoint that is given to torch's autograd.
    """
    names = [name for name in qd.__all__ if name != "block_encode"]  # that one is Qualtran's
    unwanted = ["torch._dynamo", "scipy.stats", "scipy.signal", "cirq", "plotly.io"]
    code = f"""
import sys, torch, qdescent as qd
import qdescent.experiment.spectrum.pipeline
layers = [torch.nn.Linear(20, 8), torch.nn.GELU(), torch.nn.Linear(8, 5)]
data = torch.randn(6, 20), torch.randint(0, 5, (6,))
task = qd.Task(torch.nn.Sequential(*layers), torch.nn.functional.cross_entropy, data)
hessian = qd.hessian(task, qd.ParameterSpace(task.network))
qd.spectral_density(hessian, 2, 1)
print([name for name in ("sympy", "scipy") if name in sys.modules])
for name in {names}:
    getattr(qd, name)
qd.spectral_density(hessian, 2, 1)
print([name for name in {unwanted} if name in sys.modules])
"""
    assert python(code).stdout.split() == ["[]", "[]"]
