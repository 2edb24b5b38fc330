"""A number that a user sees carries its evidence, and survives JSON."""

import json
import math

import pytest

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence, Row


@pytest.mark.parametrize(
    "value",
    [
        0.1,
        -3,
        "two words",
        None,
        True,
        [0.1, 2.0, math.inf],
        math.inf,
        -math.inf,
        1e-320,
        [1, 2, 3],
    ],
)
def test_json_round_trip(value):
    row = Row("spectrum/before/lambda_max", value, "1", Evidence.MEASURED, "Lanczos", error=0.5)
    text = json.dumps(row.to_json(), allow_nan=False)
    assert Row.from_json(json.loads(text)) == row
    assert json.loads(text)["evidence"] == "measured"


def test_nan_survives_json():
    row = Row.from_json(
        json.loads(json.dumps(Row("a", math.nan, "1", Evidence.EXACT, "x", [math.nan]).to_json()))
    )
    assert math.isnan(row.value)
    assert math.isnan(row.error[0])


@pytest.mark.parametrize("evidence", [None, "", "exact", "guessed"])
def test_no_row_without_evidence(evidence):
    with pytest.raises(
        ArgumentError,
        match="Argument `evidence` must be one of exact, measured, bounded, modelled, assumed",
    ):
        Row("a", 1.0, "1", evidence, "x")


def test_no_row_without_source():
    with pytest.raises(
        ArgumentError, match="Argument `source` must say where 'a' comes from, but is empty."
    ):
        Row("a", 1.0, "1", Evidence.EXACT, "")


def test_a_file_with_unknown_evidence_is_refused():
    fields = Row("a", 1.0, "1", Evidence.EXACT, "x").to_json() | {"evidence": "rumour"}
    with pytest.raises(ValueError, match="rumour"):
        Row.from_json(fields)


@pytest.mark.parametrize("error", [-1, -1e-9, [0.1, -0.1], (-math.inf,)])
def test_an_error_is_a_size(error):
    with pytest.raises(ArgumentError, match="Argument `error` must be a size, at least 0, but is"):
        Row("a/b", 1.0, "1", Evidence.MEASURED, "x", error=error)
    fields = Row("a/b", 1.0, "1", Evidence.MEASURED, "x").to_json()
    with pytest.raises(ArgumentError, match="Argument `fields` must be those of a row"):
        Row.from_json({**fields, "error": -1.0})
