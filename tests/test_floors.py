"""The floor plan, enforced: import-linter on the package and on copies with a planted fault, and
what stays in its room.
"""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "qdescent"


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter, with the repository's contracts, on the copy of the package in `folder`."""
    command = [
        str(Path(sys.executable).with_name("lint-imports")),
        "--no-cache",
        "--config",
        str(ROOT / "pyproject.toml"),
    ]
    return subprocess.run(
        command,
        cwd=folder,
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(
        PACKAGE, tmp_path / "qdescent", ignore=shutil.ignore_patterns("__pycache__", "*.npz")
    )
    return tmp_path


def test_floors_hold_in_a_clean_copy(copy):
    result = lint_imports(copy)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("planted", "line", "sentence"),
    [
        (
            "linalg/planted.py",
            "import qdescent.solvers.solve",
            "qdescent.linalg is not allowed to import qdescent.solvers",
        ),
        (
            "linalg/planted.py",
            "def f():\n    import qdescent.report",
            "qdescent.linalg is not allowed to import qdescent.report",
        ),
        (
            "learning/planted.py",
            "from qdescent import carleman",
            "qdescent.learning is not allowed to import qdescent.carleman",
        ),
        (
            "solvers/planted.py",
            "import qdescent.resources",
            "qdescent.solvers is not allowed to import qdescent.resources",
        ),
        (
            "_random.py",
            "import qdescent.linalg",
            "qdescent._random is not allowed to import qdescent.linalg",
        ),
        ("utils.py", "", "qdescent.utils"),  # a room that the floor plan does not know
        # and back
        (
            "linalg/linear_system.py",
            "import qdescent.linalg.planted",
            "No cycles are allowed in qdescent.linalg",
        ),
    ],
)
def test_a_planted_fault_breaks_the_contracts(copy, planted, line, sentence):
    (copy / "qdescent/linalg/planted.py").write_text("import qdescent.linalg.linear_system\n")
    with (copy / "qdescent" / planted).open("a") as file:
        file.write(f"\n{line}\n")
    result = lint_imports(copy)
    assert result.returncode == 1, result.stdout + result.stderr
    assert sentence in " ".join(result.stdout.split())


def test_the_public_names_are_no_way_around_the_floors(copy):
    with (copy / "qdescent/__init__.py").open("a") as file:
        file.write("\nfrom qdescent.solvers.solve import solve\n")
    (copy / "qdescent/linalg/planted.py").write_text("from qdescent import solve\n")
    result = lint_imports(copy)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "qdescent.linalg is not allowed to import qdescent.solvers" in " ".join(
        result.stdout.split()
    )


# What stays in its room, besides imports between rooms: each rule gives the names that a file may
# not hold, and where it may. A place is a room ("learning/"), a file ("cli.py") or the start of a
# file's name.
AUTOGRAD = ("learning/", "training/", "experiment/")
HARDWARE = (
    "quantum/",
    "resources/",
    "solvers/",
    "report/",
    "experiment/",
    "cli.py",
    "rows/names.py",  # what the rows of these rooms are called
)
# in, out; the data set that is part of the package
FILES = ("reading/", "report/", "learning/datasets.py", "_terminal/streams.py")
JSON = (*FILES, "resources/physical/surface_code.py")  # qdk's estimator takes and gives JSON texts
# the terminal shows how long a stage took; what is recorded is timed by report
CLOCKS = ("report/", "_terminal/")
PRINTS = ("_terminal/",)
# Imported where they are used: seconds, or not installed. Import-linter sees imports inside
# functions too, so this is no way around the floors. its doors
QUALTRAN = (
    "solvers.circuits",
    "quantum.encodings",
    "quantum.gates.loading.iteration",
    "quantum.gates.loading.router_tree",
    "quantum.gates.loading.select_swap",
    "quantum.inspect.qasm",
    "quantum.inspect.toffoli_depth",
)
HEAVY = (
    "qualtran",
    "cirq",
    "qdk",
    "plotly",
    "torchvision",
    "submitit",
    "PIL",
    "pandas",
    "scipy",  # a fifth of a second: it copies NumPy, and a spectrum needs none of it
    "torch.utils.tensorboard",
    *(f"qdescent.{name}" for name in QUALTRAN),
)
# What makes a tensor out of nothing says where: `torch.set_default_device` is the user's.
FACTORIES = (
    *("arange", "as_tensor", "asarray", "empty", "empty_strided", "eye", "full", "linspace"),
    *("logspace", "normal", "ones", "rand", "randint", "randn", "randperm", "range"),
    *("scalar_tensor", "sparse_coo_tensor", "sparse_csr_tensor", "tensor", "tril_indices"),
    *("triu_indices", "zeros"),
)
# networks are built where PyTorch's own layers are: on the user's default device
ON_DEFAULT = ("learning/networks/",)
# What returns a number in Python's own type: one of NumPy or PyTorch, computed with as it came,
# would choose types and wrap around.
CONVERTING = ("boolean", "choice", "integer", "interval", "numbers", "order", "scale")
# a help text or an argument error waits for no job: each is imported once its arguments are right
LATE = ("cli.py", "_terminal/sentences.py")


def violations(place: str, source: str) -> list[str]:
    """What a file at `place` (its path inside the package) holds and may not, as sentences."""
    tree = ast.parse(source)
    found = []
    for node in ast.walk(tree):
        for name in dotted_names(node):
            if re.match(r"torch\.(nn|autograd|func)\b", name) and not place.startswith(AUTOGRAD):
                found.append(f"{place}:{node.lineno} {name} belongs in {AUTOGRAD}")
            if re.match(r"json(\.|$)", name) and is_import(node) and not place.startswith(JSON):
                found.append(f"{place}:{node.lineno} {name} belongs in {JSON}")
            if (
                re.match(r"(time|datetime)(\.|$)", name)
                and is_import(node)
                and not place.startswith(CLOCKS)
            ):
                found.append(f"{place}:{node.lineno} {name} belongs in {CLOCKS}")
        for name in words(node):
            if re.search(r"qubit|t_gate|t_count", name, re.IGNORECASE) and not place.startswith(
                HARDWARE
            ):
                found.append(f"{place}:{node.lineno} {name} belongs in {HARDWARE}")
        if isinstance(node, ast.Call):
            called = (
                node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            )
            if called in (
                "open",
                "read_text",
                "write_text",
                "read_bytes",
                "write_bytes",
            ) and not place.startswith(FILES):
                found.append(f"{place}:{node.lineno} {called}() belongs in {FILES}")
            if made_anywhere(node) and not place.startswith(ON_DEFAULT):
                found.append(f"{place}:{node.lineno} torch.{called}() without `device=`")
            if called == "print" and not place.startswith(PRINTS):
                found.append(f"{place}:{node.lineno} print() belongs in {PRINTS}")
        if isinstance(node, ast.Expr | ast.Compare) and (name := thrown_away(node)):
            found.append(f"{place}:{node.lineno} `{name}` is checked, and used as it came")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for inner in ast.walk(node):
                found += [
                    f"{place}:{inner.lineno} {name} is imported inside a function"
                    for name in (dotted_names(inner) if is_import(inner) else ())
                    if not f"{name}.".startswith(tuple(f"{heavy}." for heavy in HEAVY))
                    and not (name.startswith("qdescent.") and place in LATE)
                ]
    return found


def made_anywhere(call: ast.Call) -> bool:
    """Whether a tensor is made without saying where."""
    places = [keyword for keyword in call.keywords if keyword.arg in ("device", None)]
    return not places and next(dotted_names(call.func), "") in [f"torch.{n}" for n in FACTORIES]


def thrown_away(node: ast.Expr | ast.Compare) -> str:
    """The name that is checked here, while what the check returns is dropped."""
    call = node.value if isinstance(node, ast.Expr) else node.left
    checks = [f"check_{name}" for name in CONVERTING]
    if not (isinstance(call, ast.Call) and getattr(call.func, "id", "") in checks):
        return ""
    name, value = (ast.unparse(each) for each in call.args[:2])
    plain = re.sub(r"^\w+\.(?=\w+$)|^getattr\(\w+, (\w+)\)$", r"\1", value)
    return plain if name in (plain, repr(plain)) else ""


def is_import(node: ast.AST) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def dotted_names(node: ast.AST) -> Iterator[str]:
    """`torch.nn` of `import torch.nn`, of `from torch import nn` and of `torch.nn.Linear`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        yield f"{node.value.id}.{node.attr}"


def words(node: ast.AST) -> Iterator[str]:
    """The identifiers that a node brings: names, attributes, arguments, keywords, functions,
    classes.
    """
    for field in ("id", "attr", "arg", "name", "asname"):
        if isinstance(value := getattr(node, field, None), str):
            yield value


LARGEST_FOLDER = 14  # files that a reader takes in at once


def crowded(folder: Path) -> list[str]:
    """The folders below with more source files than that."""
    counts = {place: len(list(place.glob("*.py"))) for place in [folder, *folder.rglob("*/")]}
    return [f"{place.name}: {count}" for place, count in counts.items() if count > LARGEST_FOLDER]


def test_no_folder_is_crowded(tmp_path):
    assert crowded(PACKAGE) == []
    for number in range(LARGEST_FOLDER + 1):
        (tmp_path / f"file_{number}.py").touch()
    assert crowded(tmp_path) != []


def unplanned(plan: str, rooms: set[str]) -> set[str]:
    """Rooms that the plan does not name, or that it names and that are gone."""
    return rooms ^ set(re.findall(r"(\w+)/(?!\w)", plan))


def test_the_plan_of_the_floors_names_every_room():
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    plan = text.partition("```text\n")[2].partition("```")[0]
    rooms = {
        place.name for place in PACKAGE.rglob("*/") if place.name not in ("__pycache__", "data")
    }
    assert unplanned(plan, rooms) == set()
    assert unplanned(plan, {*rooms, "cellar"}) == {"cellar"}  # planted
    assert unplanned(plan.replace("pages/", ""), rooms) == {"pages"}


LONGEST_LINE = 100
LONGEST_FILE = 350
# what a tool must find on the line it speaks of does not count
PRAGMA = re.compile(r"\s*# (type: ignore|noqa|fmt: skip).*$")


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def long_lines(text: str) -> list[int]:
    """The numbers of the lines of more characters than that."""
    lines = text.splitlines()
    return [n for n, line in enumerate(lines, 1) if len(PRAGMA.sub("", line)) > LONGEST_LINE]


def too_long(text: str) -> bool:
    """Whether a file of the package has more lines than one takes in."""
    return len(text.splitlines()) > LONGEST_FILE


@pytest.mark.parametrize("folder", ["src", "tests", "benchmarks", "examples", "tools"])
def test_no_line_is_longer_than_the_page(folder):
    files = [path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts]
    assert {str(path): found for path in files if (found := long_lines(path.read_text()))} == {}


def test_no_file_is_longer_than_one_idea():
    lengths = {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in sources()}
    assert [place for place, text in lengths.items() if too_long(text)] == []


def test_a_planted_line_and_a_planted_file_are_too_long():
    assert long_lines("x = 1\n" + "x" * 101 + "  # type: ignore\n" + "x" * 100) == [2]
    assert too_long("x = 1\n" * 351)
    assert not too_long("x = 1\n" * 350)


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_each_file_keeps_to_its_room(path):
    assert violations(path.relative_to(PACKAGE).as_posix(), path.read_text()) == []


@pytest.mark.parametrize(
    ("place", "source", "sentence"),
    [
        ("linalg/a.py", "from torch import Tensor, nn", "torch.nn belongs in"),
        ("carleman/a.py", "import torch.func", "torch.func belongs in"),
        ("solvers/a.py", "import torch\nx = torch.nn.Linear(1, 1)", "torch.nn belongs in"),
        (
            "report/a.py",
            "import torch\nwith torch.autograd.no_grad(): pass",
            "torch.autograd belongs in",
        ),
        ("training/a.py", "import time", "time belongs in"),
        ("cli.py", "from json import dumps", "json.dumps belongs in"),
        ("experiment/stages.py", "import datetime", "datetime belongs in"),
        ("carleman/a.py", "def f(qubits): return qubits", "qubits belongs in"),
        ("training/a.py", "def f(cost): return cost.t_gates", "t_gates belongs in"),
        ("learning/masks.py", "open('a')", "open() belongs in"),
        ("resources/physical/surface_code.py", "import json\nopen('a')", "open() belongs in"),
        ("cli.py", "path.write_text('a')", "write_text() belongs in"),
        ("report/a.py", "print(1)", "print() belongs in"),
        (
            "learning/a.py",
            "def f():\n    from qdescent.linalg import lanczos",
            "imported inside a function",
        ),
        ("cli.py", "def f():\n    import numpy", "numpy is imported inside a function"),
        (
            "quantum/a.py",
            "class A:\n    def f(self):\n        import numpy",
            "numpy is imported inside a function",
        ),
        ("linalg/a.py", "x = torch.zeros(3)", "torch.zeros() without `device=`"),
        ("training/a.py", "x = torch.tensor([1.0], dtype=f)", "torch.tensor() without"),
        ("linalg/a.py", "check_integer('n', n, 1)", "`n` is checked, and used as it came"),
        ("linalg/a.py", "if check_interval('x', x, '(0, 1)') > y: pass", "`x` is checked"),
        ("solvers/a.py", "check_interval('x', self.x, '(0, 1)')", "`x` is checked"),
        ("solvers/a.py", "check_integer(name, getattr(self, name), 1)", "`name` is checked"),
    ],
)
def test_a_planted_word_is_found_in_the_wrong_room(place, source, sentence):
    assert any(sentence in one for one in violations(place, source))


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("learning/a.py", "from torch import nn\nimport torch.func"),
        ("report/a.py", "import json, time\nopen('a')\nqubits = 3"),
        (
            "solvers/circuits/qsvt.py",
            "def f():\n    from qualtran.bloqs.basic_gates import TGate\n    return TGate",
        ),
        ("linalg/a.py", '"""No qubit here, and no json."""\ntime = 3\nx = time.real'),
        ("_terminal/sentences.py", "print(1)"),
        ("cli.py", "def f():\n    from qdescent.report.record import Record\n    return Record"),
        ("_terminal/outcome.py", "import time\nprint(1)"),
        ("linalg/a.py", "x = torch.zeros(3, device='cpu')\ny = torch.zeros_like(x)"),
        ("linalg/a.py", "x = torch.eye(n, **options)\ny = x.new_zeros(3)"),
        ("learning/networks/a.py", "x = torch.empty(0)"),
        ("linalg/a.py", "n = check_integer('n', n, 1)\ncheck_field(self, 'n', check_integer, 1)"),
        ("linalg/a.py", "check_integer('number of parts', len(parts), 1)"),
    ],
)
def test_the_right_room_may(place, source):
    assert violations(place, source) == []
