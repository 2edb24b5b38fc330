"""Rows by name: looked up, put into a section, written as CSV and as pandas; evidence that never
improves on its way.
"""

import csv
import io
import itertools
import math
import pickle

import pytest

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence, Row, derived
from qdescent.rows.collection import MissingRowError, Rows


def a_row(name, value=1.0, error=None):
    return Row(name, value, "calls", Evidence.EXACT, "a test, with a comma", error)


COST = Rows([a_row("queries", 57), a_row("kappa", 41.5, 0.5), a_row("loader", "QROM()")])


def test_a_row_is_looked_up_by_name_and_a_number_with_it():
    assert COST["queries"].value == COST.number("queries") == 57
    assert isinstance(COST.number("queries"), int)
    assert [row.name for row in COST] == list(COST.names) == ["queries", "kappa", "loader"]
    assert len(COST) == 3
    assert "kappa" in COST
    assert "kapa" not in COST
    assert COST["kappa"] in COST
    assert a_row("kappa", 1.0) not in COST  # another row of the same name
    assert COST.numbers.names == ("queries", "kappa")


@pytest.mark.parametrize("name", ["kapa", "Kappa", "circuit/kappa", "", " kappa", "κ"])
def test_a_wrong_name_says_which_there_are(name):
    with pytest.raises(MissingRowError, match="there are: queries, kappa, loader") as caught:
        COST[name]
    assert caught.value.name == name
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [0, None, ["queries"], b"queries", slice(2)])
def test_a_name_is_a_text(name):
    with pytest.raises(ArgumentError, match="Argument `name` must be a text"):
        COST[name]


def test_of_many_names_the_sections_are_listed():
    many = Rows([a_row(f"{part}/{k}") for part in ("circuit", "ledger") for k in range(200)])
    with pytest.raises(MissingRowError, match=r"there are: circuit/ \(200\), ledger/ \(200\)"):
        many["nothing"]


@pytest.mark.parametrize("name", ["loader", "curve"])
def test_a_number_is_one_number(name):
    rows = COST + Rows([a_row("curve", [1.0, 2.0])])
    with pytest.raises(ArgumentError, match=f"Argument `{name}` must hold one number"):
        rows.number(name)
    assert rows["curve"].curve == (1.0, 2.0)
    with pytest.raises(ArgumentError, match="Argument `kappa` must hold a curve"):
        _ = rows["kappa"].curve


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([a_row("a"), a_row("b"), a_row("a")], "hold every name once, but is given 'a' twice"),
        ([0.5], "without evidence is an error"),
        ([a_row("a"), None], "without evidence is an error"),
        ("queries", "must be a sequence of `Row`s"),
        ({"queries": a_row("queries")}, "must be a sequence of `Row`s"),
        (7, "must be a sequence of `Row`s"),
        (a_row("a"), "must be a sequence of `Row`s"),
    ],
)
def test_what_are_no_rows(given, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        Rows(given)


def test_a_section_stands_before_each_name():
    under = COST.under("circuit/")
    assert under.names == ("circuit/queries", "circuit/kappa", "circuit/loader")
    assert under.number("circuit/queries") == 57
    assert under["circuit/kappa"].source == COST["kappa"].source
    assert COST.names == ("queries", "kappa", "loader")  # these never change
    whole = COST + under
    assert whole.section("circuit/") == under
    assert len(whole.section("nothing/")) == 0
    with pytest.raises(ArgumentError, match="must be a section with its slash"):
        COST.under("circuit")
    with pytest.raises(ArgumentError, match="hold every name once"):
        _ = under + under


def test_equal_rows_are_equal_hashed_and_pickled():
    twin = Rows(tuple(COST))
    assert twin == COST
    assert hash(twin) == hash(COST)
    assert pickle.loads(pickle.dumps(COST)) == COST
    assert Rows(reversed(list(COST))) != COST


def test_csv_keeps_every_digit_and_survives_commas():
    odd = [
        a_row("third", 1 / 3),
        a_row("curve", [0.1, math.inf], [1e-300, 0.0]),
        a_row("none", None),
    ]
    lines = list(csv.reader(io.StringIO((COST + odd).to_csv())))
    assert lines[0] == ["name", "value", "unit", "evidence", "source", "error"]
    assert lines[1] == ["queries", "57", "calls", "exact", "a test, with a comma", ""]
    assert float(lines[4][1]) == 1 / 3
    assert lines[5][1] == "[0.1, inf]"
    assert lines[6][1] == ""
    assert Rows().to_csv().splitlines() == ["name,value,unit,evidence,source,error"]


def test_pandas_holds_the_same_table():
    pandas = pytest.importorskip("pandas")
    frame = COST.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["name"]) == list(COST.names)
    assert frame.set_index("name").loc["queries", "value"] == 57
    assert frame.set_index("name").loc["kappa", "evidence"] == "exact"


def test_evidence_never_improves_on_the_way():
    order = list(Evidence)
    for count in (1, 2, 3):
        for inputs in itertools.product(Evidence, repeat=count):
            made = derived(*inputs)
            if Evidence.ASSUMED in inputs:  # "assumed" is what somebody chose; this follows from it
                assert made is Evidence.MODELLED
            else:
                assert order.index(made) >= max(map(order.index, inputs))
            assert made is derived(*reversed(inputs))
    assert derived(Evidence.MEASURED, Evidence.BOUNDED) is Evidence.MODELLED
    with pytest.raises(ArgumentError, match="Argument `inputs` must be members"):
        derived("exact")
