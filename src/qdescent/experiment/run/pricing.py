"""Stage (f) of the main job: what one round would cost at the network's own size."""

from __future__ import annotations

import math
from typing import Any

import torch

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence, Row
from qdescent.carleman.growth import step_factor
from qdescent.carleman.padding import PaddingChoice, best_padding
from qdescent.carleman.state_norms import lifted_norm
from qdescent.experiment.estimate.recorded import round_rows
from qdescent.experiment.run.measured import (
    blocks_of,
    calls_of,
    is_affordable,
    measured_norms,
    measured_sparsity,
    needed_of,
)
from qdescent.experiment.run.settings import Settings
from qdescent.experiment.run.training import Pruned
from qdescent.experiment.workspace import Workspace
from qdescent.learning.networks.small_cnn import multiply_adds
from qdescent.linalg.spectra.spectrum import Spectrum
from qdescent.resources.ledger import Ledger, ledger_of
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.ways.queries import dalzell_queries
from qdescent.rows import names
from qdescent.rows.numbers import times
from qdescent.training.rounds.record import Run

# l2 error of one solve: below the readout error, so that it does not limit the round
EPSILON = 1e-3
# of the ledger's inputs those that are counted; the others are settings
KNOWN = {
    "n": (Evidence.EXACT, names.NETWORK_KEPT),
    "parameters": (Evidence.EXACT, names.NETWORK_PARAMETERS),
    "forward_macs": (Evidence.EXACT, "multiply-adds of one sample, counted layer by layer"),
    "masked_macs": (Evidence.EXACT, "the same, kept weights only"),
    "order": (Evidence.ASSUMED, "the first round's order"),
    "steps": (Evidence.ASSUMED, "the first round's steps"),
    "batch": (Evidence.ASSUMED, "setting `batch`"),
    "learning_rate": (Evidence.ASSUMED, "setting `learning_rate`"),
}


def price_round(
    workspace: Workspace[Settings], pruned: Pruned, spectrum: Spectrum, run: Run
) -> tuple[Ledger, list[Row]]:
    """The ledger of one round (upload, K steps as one system, readout), from what the run measured.

    kappa: up to order 3 the majorant's bound by the measured norms of the map, in the unit and with
    the padding of fewest queries for the displacements that were seen. Beyond, and where that bound
    is out of any machine's reach, a model: (1 + a) sum a^j with a the largest norm of the diagonal
    blocks (I - eta H)^{(x)j}, from the measured extremes of H, without the blocks beside the
    diagonal (F_0, F_2). s is measured on sampled rows unless it was set.
    """
    settings, progress = workspace.settings, workspace.progress
    order, T = run.rounds[0].order, run.rounds[0].steps
    bounded = is_affordable(order, T)
    work = blocks_of(settings, pruned.space.n) + (calls_of(order) if bounded else 0) + 1
    progress.start("Pricing a round", work)
    with workspace.stage("pricing"):
        sparsity, rows = measured_sparsity(settings, pruned, order, T, progress.advance)
        model = _modelled(settings, spectrum, run)
        source = (
            f"(1 + a) sum a^j over T = {T} steps and padding p = {model.padding}, a from the"
            " measured spectrum; couplings F_0 and F_2 left out"
        )
        by_model: dict[str, Any] = {
            "padding": model.padding,
            "kappa": model.kappa,
            "kappa_evidence": Evidence.MODELLED,
            "kappa_source": source,
            "success_probability": model.probability,
            "success_evidence": Evidence.EXACT,
            "success_source": (
                "(p + 1) ||u_T||^2 / ||Z||^2 of the first round's order-N solution, from its terms'"
                " inner products"
            ),
        }
        kappas = [by_model]
        if bounded:
            norms, word, more = measured_norms(settings, pruned, order, progress.advance)
            rows += more
            by_norms = {
                "norms": norms,
                "norms_evidence": word,
                "norms_source": "the norms of the map at the start, first batch",
                "grams": run.rounds[0].gram,
            }
            kappas.insert(0, by_norms)
        sample = pruned.data.train_images[:1]
        given: dict[str, Any] = {
            "n": pruned.space.n,
            "parameters": pruned.space.total,
            "order": order,
            "steps": T,
            "learning_rate": settings.learning_rate,
            "lambda_min": spectrum.lambda_min[0],
            "lambda_max": spectrum.lambda_max[0],
            "spectrum_evidence": Evidence.MEASURED,
            "spectrum_source": "the measured spectrum before the rounds",
            "sparsity": sparsity.entries,
            "sparsity_evidence": sparsity.evidence,
            "sparsity_source": sparsity.source,
            **needed_of(rows),
            "batch": settings.batch,
            "forward_macs": multiply_adds(pruned.network, sample),
            "masked_macs": multiply_adds(pruned.network, sample, pruned.mask),
            "shots": settings.shots,
            "epsilon": EPSILON,
            "known": KNOWN | {"grams": (Evidence.EXACT, "of the first round's terms")},
        }
        spec, ledger = _first_in_reach(given, kappas)
    progress.advance()
    ratio = ledger.rows.number(names.TIME_RATIO)
    progress.finish(f"{times(ratio)} the classical round")
    return ledger, [*rows, *ledger.rows.under(names.LEDGER), *round_rows(spec)]


def _first_in_reach(
    given: dict[str, Any], kappas: list[dict[str, Any]]
) -> tuple[RoundSpec, Ledger]:
    """The round with the first of these kappas that a machine can bear, and its price."""
    *others, last = kappas
    for known in others:
        try:
            spec = RoundSpec(**given, **known)
            return spec, ledger_of(spec, region=True)
        except ArgumentError:  # the bound diverges, or no distillation is that good
            continue
    spec = RoundSpec(**given, **last)
    return spec, ledger_of(spec, region=True)


def _modelled(settings: Settings, spectrum: Spectrum, run: Run) -> PaddingChoice:
    """kappa without couplings, at the padding of fewest queries until success."""
    factor = float(step_factor(spectrum.nodes[spectrum.weights > 0], settings.learning_rate).max())
    end, norms = _solution_norms(run)
    return best_padding(
        max(factor, factor ** run.rounds[0].order),
        norms,
        lambda kappa: dalzell_queries(kappa, EPSILON),
        amplified=False,
        answer_norm=end,
    )


def _solution_norms(run: Run) -> tuple[float, torch.Tensor]:
    """||u_T|| and ||z_t||, t = 0..T, of the first round's order-N solution, from its terms' inner
    products; z_0 = 0.
    """
    gram = torch.tensor(run.rounds[0].gram, dtype=torch.float64, device="cpu")
    norms = torch.tensor(
        [0.0, *(lifted_norm(each) for each in gram)], dtype=torch.float64, device="cpu"
    )
    # ||u_1 + ... + u_N||; rounding may leave a zero slightly negative
    end = math.sqrt(max(float(gram[-1].sum()), 0.0))
    return min(end, float(norms[-1])), norms
