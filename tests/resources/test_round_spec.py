"""A round as it is priced: its sizes, what follows from them, and every contradiction refused."""

import dataclasses

import numpy as np
import pytest

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence
from qdescent.carleman.majorant import history_kappa_bound
from qdescent.linalg.map_norms import MapNorms
from qdescent.resources.counts.logical_counts import LogicalCounts
from qdescent.resources.round_spec import RoundSpec, least_kappa
from qdescent.resources.ways.history import UNKNOWN, history_ways

NORMS = MapNorms(constant=0.014, linear=1.045, higher=(5.25,))


def instance(**changes) -> RoundSpec:
    plain = RoundSpec(
        n=10**7,
        parameters=10**8,
        order=2,
        steps=100,
        padding=0,
        kappa=300.0,
        sparsity=10,
        batch=512,
        forward_macs=10**9,
        epsilon=1e-2,
        alpha_over_norm=2.5,
    )
    return dataclasses.replace(plain, **changes)


def test_dimensions():
    small = instance(n=2, parameters=5, sparsity=1, order=3, steps=4, padding=2)
    assert small.lifted_dimension == 2 + 8 + 26
    assert small.history_dimension == 7 * 36


def test_queries_of_the_project_row():
    """facts.md section 6: n = 1e7, s = 10, N = 2, T = 100, kappa 300, alpha/||M|| = 2.5: 4.6e4
    queries (at eps = 1e-2).
    """
    row = instance()
    assert row.entries == 10**7 * (10 + 100)
    assert instance(coupling_sparsity=0).entries == 10**8

    def queries(spec):
        return next(way.queries for way in history_ways(spec) if way.name == UNKNOWN)

    assert round(queries(row)) == 45627
    assert f"{queries(instance(alpha_over_norm=1.0)):.1e}" != "4.6e+04"


def test_readout_of_the_project_row():
    """facts.md section 4: k = 7.45e5 at 1e-2: 1.9e9 shots or 7.5e7 calls."""
    pruned = instance(n=745_000)
    assert f"{pruned.shot_count:.1e}" == "1.9e+09"
    assert pruned.copies == 2 * pruned.shot_count
    # 7.45e7
    assert f"{instance(n=745_000, readout='coherent').copies:.1e}" in {"7.4e+07", "7.5e+07"}


def test_a_low_success_is_amplified_or_repeated_whichever_takes_fewer():
    """Amplified once, .25 is certainty: three runs for four; at .9 one run in ten is lost."""
    runs = {
        success: history_ways(instance(success_probability=success))[2].runs
        for success in (1e-4, 0.25, 0.9)
    }
    assert runs[0.25] == (3.0, True)
    assert runs[0.9] == (pytest.approx(1 / 0.9), False)
    assert runs[1e-4] == (159.0, True)  # about pi/(2 sqrt p)


def test_the_largest_entries_alone_are_read():
    whole, some = instance(), instance(largest=10**4)
    assert whole.copies == 1000 * some.copies
    assert instance(readout="coherent", largest=10**4).copies == 10**6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 0}, "Argument `n` must be an integer of at least 1, but is 0."),
        ({"parameters": 10}, r"Argument `n` must be at most `parameters` \(10\), but is 10000000."),
        ({"sparsity": 10**8}, r"Argument `sparsity` must be at most `n` \(10000000\)"),
        ({"order": 1.5}, "Argument `order` must be an integer of at least 1, but is 1.5."),
        ({"kappa": 0.9}, r"Argument `kappa` must be in \[1, inf\), but is 0.9."),
        ({"kappa": float("nan")}, "Argument `kappa` must be in"),
        ({"shots": 0}, "Argument `shots` must be an integer of at least 1, but is 0."),
        (
            {"success_probability": 0.0},
            r"Argument `success_probability` must be in \(0, 1\], but is 0.0.",
        ),
        (
            {"readout": "free"},
            "Argument `readout` must be one of 'sampling', 'coherent', but is 'free'.",
        ),
        ({"kappa_evidence": "sure"}, "Argument `kappa_evidence` must be one of exact"),
        ({"batch": None}, "Argument `batch` must be an integer of at least 1, but is None."),
        ({"batch": True}, "Argument `batch` must be an integer of at least 1, but is True."),
        ({"n": np.float64(1e7)}, "Argument `n` must be an integer of at least 1"),
        (
            {"n": 10**400, "parameters": 10**400},
            "Argument `n` must be an integer of at most 4611686018427387904",
        ),
        (
            {"steps": 10**400},
            "Argument `steps` must be an integer of at most 1000000000000000000000000000000",
        ),
        ({"order": 10**9}, "Argument `order` must be an integer of at most 64"),
        ({"largest": 10**8}, r"Argument `largest` must be at most `n` \(10000000\)"),
        ({"kappa": None}, "Argument `kappa` must be given where `norms` are not, but is missing."),
        (
            {"norms": NORMS, "kappa": None, "steps": 10**5},
            "Argument `steps` must be at most 10000 where norms of the map bound kappa",
        ),
        (
            {"learning_rate": 0.1, "lambda_min": 0.0},
            "Argument `lambda_max` must be given beside `learning_rate` and `lambda_min`",
        ),
        (
            {"learning_rate": 0.1, "lambda_min": 2.0, "lambda_max": 1.0},
            r"Argument `lambda_max` must be at least `lambda_min` \(2\)",
        ),
        ({"kappa": "300"}, r"Argument `kappa` must be in \[1, inf\), but is '300'."),
        ({"kappa": float("inf")}, r"Argument `kappa` must be in \[1, inf\), but is inf."),
        (
            {"kappa": 1e305},
            "Argument `kappa` must lie between 1e-30 and 1e[+]300, but is 1e[+]305.",
        ),
        ({"epsilon": 1e-300}, "Argument `epsilon` must lie between 1e-30 and"),
        ({"kappa_source": None}, "Argument `kappa_source` must be a text"),
        (
            {"masked_macs": 10**10},
            r"Argument `masked_macs` must be at most `forward_macs` \(1000000000\)",
        ),
        (
            {"coupling_sparsity": 10**14},
            "Argument `coupling_sparsity` must make tables of at most 4.6e[+]18 entries",
        ),
        (
            {"padding": 1000},
            (
                "Argument `kappa` must be at least 1275.* with a padding of 1000, whose copies"
                " alone force it"
            ),
        ),
    ],
)
def test_bad_instance(changes, message):
    with pytest.raises(ArgumentError, match=message):
        instance(**changes)


def test_a_history_that_diverges_is_refused_where_it_is_asked_for():
    grown = instance(norms=MapNorms(constant=1.0, linear=1.3, higher=(9.0,)), kappa=None, steps=400)
    with pytest.raises(ArgumentError, match="`steps` must leave kappa finite in some unit"):
        _ = grown.history
    with pytest.raises(ArgumentError, match="`steps` must leave the orbit of these norms"):
        instance(norms=MapNorms(constant=1.0, linear=1e6), kappa=None, steps=20)


def test_bad_counts():
    with pytest.raises(
        ArgumentError, match=r"Argument `toffoli` must be an integer of at least 0, but is -1\."
    ):
        LogicalCounts(1, toffoli=-1)
    assert instance(kappa_evidence=Evidence.MEASURED).kappa_evidence == "measured"


def test_numpy_scalars_are_numbers():
    ours = instance(
        n=np.int64(10**7), kappa=np.float32(300), epsilon=np.float64(1e-2), sparsity=np.int32(10)
    )
    assert ours == instance()
    assert {type(ours.n), type(ours.sparsity)} == {int}
    assert {type(ours.kappa), type(ours.epsilon)} == {float}
    assert type(LogicalCounts(np.int64(5), toffoli=np.int64(9)).toffoli) is int


@pytest.mark.parametrize("padding", [0, 1, 2, 30, 100])
def test_the_least_kappa_is_that_of_the_copies_and_bounds_any_history(padding):
    """NumPy's condition number of I - shift on p + 1 blocks; a history whose step is small has the
    least kappa nearly.
    """
    copies = padding + 1
    least = least_kappa(padding)
    assert least == pytest.approx(np.linalg.cond(np.eye(copies) - np.eye(copies, k=-1)), rel=1e-9)
    for a in (1e-3, 0.5, 0.9, 1.0):
        whole = np.eye(copies + 6)
        for t in range(copies + 5):
            whole[t + 1, t] = -a if t < 6 else -1.0
        assert np.linalg.cond(whole) >= least * (1 - 1e-12)
    assert instance(kappa=least, padding=padding).kappa == least
    with pytest.raises(ArgumentError, match="whose copies alone force it"):
        instance(kappa=max(0.999 * least, 1.0) if padding else 1.0, padding=max(padding, 1))


@pytest.mark.parametrize("a", [0.5, 0.9, 0.95])
def test_useful_steps_of_a_contraction(a):
    """kappa of a long history of one contracting mode: beyond the useful steps no more than epsilon
    is left.
    """
    length = 400
    kappa = np.linalg.cond(np.eye(length) - a * np.eye(length, k=-1))
    steps = instance(kappa=kappa, steps=length, epsilon=1e-3).useful_steps
    assert a**steps <= 1.05e-3
    assert a ** (steps - 2) > 1e-3
    assert instance(kappa=1.0).useful_steps == 1


def test_norms_bound_kappa_in_units_of_1_and_in_the_best():
    """Of 7 million weights, eta .02, T = 20: 13,453 and 966 (docs/what-a-segment-costs.md)."""
    spec = instance(norms=NORMS, kappa=None, padding=None, steps=20)
    assert spec.plain_history.kappa == pytest.approx(13_000, rel=0.1)
    assert spec.history.kappa < spec.plain_history.kappa / 10
    found = spec.history
    again = history_kappa_bound(NORMS, 2, 20, found.padding, found.scale)
    assert found.kappa == pytest.approx(again)
    assert 0 < found.probability < 1
    # norms that are assumed give no bound
    assert found.kappa_evidence is Evidence.MODELLED
    sure = instance(norms=NORMS, kappa=None, padding=3, steps=20, norms_evidence=Evidence.BOUNDED)
    assert (sure.history.kappa_evidence, sure.history.padding) == (Evidence.BOUNDED, 3)
    # a success that the user knows stands
    given = instance(norms=NORMS, kappa=None, steps=20, padding=None, success_probability=0.5)
    assert given.history.probability == 0.5


@pytest.mark.parametrize("seed", range(6))
def test_triples_whose_pairs_all_count_are_no_more_than_charged(seed):
    """s_2^(3/2), by enumeration: random pairs, and all pairs of a few, which reach it."""
    draws = np.random.default_rng(seed)
    size, few = 9, int(draws.integers(2, 7))
    pairs = draws.random((size, size)) < draws.random()
    if seed % 2:
        pairs = np.zeros((size, size), dtype=bool)
        pairs[:few, :few] = True
    pairs |= pairs.T
    triples = int(np.einsum("ij,jk,ik->", *[pairs.astype(int)] * 3))
    charged = instance(order=3, sparsity=9, coupling_sparsity=int(pairs.sum())).colours[2]
    assert triples <= charged
    if seed % 2:
        assert triples == charged == few**3
        assert triples > pairs.sum()  # as many as F_2 has would be too few


@pytest.mark.parametrize("padding", [0, 3])
def test_success_is_that_of_the_displacements_that_were_seen(padding):
    """Order 1 by hand, in any unit: (p+1) u_2^2 / (u_1^2 + (p+1) u_2^2)."""
    seen = instance(
        order=1, steps=2, kappa=None, norms=NORMS, padding=padding, grams=[[[9e-6]], [[16e-6]]]
    )
    expected = (padding + 1) * 16 / (9 + (padding + 1) * 16)
    for history in (seen.history, seen.plain_history):
        assert history.probability == pytest.approx(expected, rel=1e-12)
        # of terms that somebody wrote down; said to be exact, they are
        assert history.success[1] is Evidence.MODELLED
    said = dataclasses.replace(seen, known={"grams": (Evidence.EXACT, "of a round")})
    assert said.history.success[1] is said.plain_history.success[1] is Evidence.EXACT
    largest = dataclasses.replace(seen, grams=None).history
    assert largest.success[1] is Evidence.MODELLED
    assert largest.probability != pytest.approx(expected, rel=1e-3)


def test_a_kappa_in_other_units_has_its_own_in_units_of_1():
    spec = instance(kappa=300.0, plain_kappa=9000.0)
    assert (spec.history.kappa, spec.plain_history.kappa) == (300.0, 9000.0)
    assert instance(kappa=300.0).plain_history.kappa == 300.0


@pytest.mark.parametrize(
    ("grams", "sentence"),
    [
        ([[[1.0]]], "Argument `grams` must be 2 matrices, 1 x 1: of every step, but is 1 matri"),
        ([[[1.0, 0.0]], [[1.0, 0.0]]], "Argument `grams` must be a square matrix for each step"),
        ([[[1.0]], [[float("nan")]]], "Argument `grams` must be in"),
        (3.0, "Argument `grams` must be a square matrix for each step"),
    ],
)
def test_grams_of_another_shape_are_one_sentence(grams, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        instance(order=1, steps=2, kappa=None, norms=NORMS, padding=None, grams=grams)


def test_tables_of_every_degree():
    assert instance(order=4, sparsity=7).colours == (7, 49, 343, 2401)
    assert instance(n=3, parameters=5, order=3, sparsity=3, coupling_sparsity=9).colours == (
        3,
        9,
        27,
    )
    assert instance(order=3, sparsity=7, coupling_sparsity=0).colours == (7,)
    must = "Argument `order` must make tables of at most 4.6e[+]18 entries .*but is 64, of about 1e"
    with pytest.raises(ArgumentError, match=must):
        instance(order=64, sparsity=1000)
