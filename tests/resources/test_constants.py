"""No assumption that the page does not name: every number in the code of resources/ is a row with
unit, evidence and source, or is named here as no assumption at all.
"""

import ast
from pathlib import Path

import pytest

import qdescent
from qdescent.resources.classical.machines import H100
from qdescent.resources.physical.surface_code import SurfaceCode
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.verdict.constants import constant_rows

ROOM = Path(qdescent.__file__).parent / "resources"
SPEC = RoundSpec(
    n=100, parameters=1000, order=1, steps=9, padding=0, kappa=20.0, sparsity=5, batch=5,
    forward_macs=1000,
)  # fmt: skip
# what a number is that assumes nothing of a network or a machine
NO_ASSUMPTION = {
    "a limit beyond which is refused, or another formula serves": (
        "MOST_ROLE_BITS MOST_STEPS MOST_DISTANCE MOST_QUBITS MOST_ENTRIES MOST_FLOAT _LEAST _MOST"
        " _TINY _HUGE _LEAST_FORCE LARGEST_COUNTED COUNTED_CLOCK LARGE_CLOCK _EXACT_STEPS _FEW"
        " _SAFE_DEPTH _PIECE _QUBITS _MEMORY _LEAST_SUCCESS _MOST_GROWTH"
        " _FEW_ENTRIES _MOST_PIECES LEAST_CYCLE_NS MOST_CYCLE_NS _MOST_ORBIT MARGIN"
        " _LEAST_MEMORY _LEAST_SCALE _MOST_NODE_STEPS _FITS"
    ),
    "how finely something is searched or drawn": (
        "NARROW INPUTS _GRID FACTOR CELLS SHIFTS _POINTS _DISTANCES _FARTHEST _CELLS _FINE _MODES"
        " _TIMES"
    ),
    "a unit": "JOULES_A_KWH SECONDS_A_YEAR _CYCLE_NS",
    "a code for what stands in a table": "ZERO HALF QUARTER _OWN BLOCK_TURN NOTHING bits",
    "a plan that nobody can follow": "_IMPOSSIBLE",
    "a count that begins at nothing": (
        "toffoli depth turns work rotations t_gates measurements padding couplings scale floor"
        " nodes"
    ),
    "the counts in symbols, held to them by a test": "_TURNS _LOOK_UPS _UPLOAD _UPLOAD_TURNS",
    "machines, whose numbers are rows": "H100 CLUSTER",
}


def numbers_of(source: str) -> list[str]:
    """Names of a module or a class in it that are given a number."""
    found = []
    tree = ast.parse(source)
    bodies = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]
    for node in (each for body in bodies for each in body.body):
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        elif isinstance(node, ast.Assign):
            targets = [
                each
                for target in node.targets
                for each in (target.elts if isinstance(target, ast.Tuple) else [target])
            ]
        else:
            continue
        parts = ast.walk(node.value) if node.value is not None else ()
        if any(isinstance(part, ast.Constant) and type(part.value) in (int, float)
               for part in parts):  # fmt: skip
            found += [target.id for target in targets]
    return found


def unnamed(source: str, rows) -> list[str]:
    said = {name.partition("/")[2].partition("/")[0] for name in rows}
    said |= {name.partition("_")[2] for name in said if name.startswith(("upkeep", "accelerator"))}
    known = said | {name for names in NO_ASSUMPTION.values() for name in names.split()}
    return [name for name in numbers_of(source) if not {name, name.lower().strip("_")} & known]


@pytest.fixture(scope="module")
def rows():
    return {row.name: row for row in constant_rows(SPEC, SurfaceCode(), H100)}


def test_every_number_of_the_code_is_a_row_or_no_assumption(rows):
    files = sorted(ROOM.rglob("*.py"))
    assert len(files) > 30
    missing = {file.name: found for file in files if (found := unnamed(file.read_text(), rows))}
    assert missing == {}
    # planted: a new constant that nobody named
    assert unnamed("DECODER_SECONDS = 1e-6\n", rows) == ["DECODER_SECONDS"]
    assert unnamed("class Fridge:\n    kelvin: float = 0.01\n", rows) == ["kelvin"]


def test_what_is_said_to_be_no_assumption_is_still_there():
    there = {name for file in ROOM.rglob("*.py") for name in numbers_of(file.read_text())}
    assert {name for names in NO_ASSUMPTION.values() for name in names.split()} <= there


def test_rows_have_unit_evidence_and_source_and_the_values_at_work(rows):
    for row in rows.values():
        assert row.unit
        assert len(row.source) > 5
    assert rows["constants/gradients_a_product"].value == 2
    assert rows["constants/upkeep_dollars"].value == (1e3, 1e4)
    assert rows["constants/upkeep_dollars"].evidence == "assumed"
    assert "7,300" in rows["constants/upkeep_dollars"].source
    assert rows["constants/accelerator_flops/one H100"].value == 67e12
    other = constant_rows(SPEC, SurfaceCode(error_rate=1e-4), H100)
    assert next(row for row in other if row.name == "constants/error_rate").value == 1e-4
