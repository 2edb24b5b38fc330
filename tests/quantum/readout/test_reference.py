"""The price of the signs' reference state, against the circuit that prepares one."""

import numpy as np
import pytest
from qualtran.resource_counting import QECGatesCost, get_cost_value

from qdescent._checks import ArgumentError
from qdescent.quantum.gates.state_preparation import sparse_preparation, vector_preparation
from qdescent.quantum.readout.reference import reference_rows


def counted(prepare):
    gates = get_cost_value(prepare, QECGatesCost())
    return int(gates.and_bloq) + int(gates.toffoli)


@pytest.mark.parametrize(("support", "entries"), [(64, 64), (32, 32), (9, 256), (20, 1024)])
def test_toffoli_are_those_of_the_circuit(support, entries):
    draw = np.random.default_rng(0)
    vector = np.zeros(entries)
    vector[draw.choice(entries, support, replace=False)] = 1 + draw.random(support)
    rows = {row.name: row.value for row in reference_rows(support, entries, 1000, bits=12)}
    priced, true = rows["readout/reference_toffoli"], counted(vector_preparation(vector, 12))
    if support == entries:
        assert priced == true
    else:  # the exchanges are bounded
        exchanged = counted(sparse_preparation(vector, 12))
        assert max(true, exchanged) <= priced < 4 * exchanged
    assert rows["readout/reference_toffoli_all"] == 1000 * priced
    assert rows["readout/reference_entries"] == support


def test_refusals():
    with pytest.raises(ArgumentError, match="`entries` must be an integer of at least 5"):
        reference_rows(5, 4, 10)
