"""Stage (f) of the main job: what one round would cost at the network's own size."""

from __future__ import annotations

import math

import torch

from qdescent._evidence import Evidence, Row
from qdescent.carleman.growth import step_factor
from qdescent.carleman.history import lifted_norm
from qdescent.carleman.padding import best_padding
from qdescent.experiment.run.settings import Settings
from qdescent.experiment.run.training import Pruned
from qdescent.experiment.workspace import Workspace
from qdescent.learning.networks.small_cnn import multiply_adds
from qdescent.linalg.spectra.spectrum import Spectrum
from qdescent.resources.ledger import Ledger, price
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.ways.queries import dalzell_queries
from qdescent.rows import names
from qdescent.rows.numbers import times
from qdescent.training.rounds.record import Run

# l2 error of one solve: below the readout error, so that it does not limit the round
EPSILON = 1e-3


def price_round(
    workspace: Workspace[Settings], pruned: Pruned, spectrum: Spectrum, run: Run
) -> tuple[Ledger, list[Row]]:
    """The ledger of one round (upload, K steps as one system, readout), from what the run measured.

    kappa: a model, (1 + a) sum a^j with a the largest norm of the diagonal blocks (I - eta
    H)^{(x)j}, from the measured extremes of H. The blocks beside the diagonal (F_0, F_2) are left
    out: where they are large the true kappa may be many times larger (`map_norms` and
    `history_kappa_bound` bound it). Padding is the one of fewest queries until success,
    each shot repeated until its solve succeeds, as the ledger counts.
    """
    settings = workspace.settings
    progress = workspace.progress
    progress.start("Pricing a round", 1)
    factor = float(step_factor(spectrum.nodes[spectrum.weights > 0], settings.learning_rate).max())
    order, T = run.rounds[0].order, run.rounds[0].steps
    a = max(factor, factor**order)
    end, norms = _solution_norms(run)
    best = best_padding(
        a, norms, lambda kappa: dalzell_queries(kappa, EPSILON), amplified=False, answer_norm=end
    )
    sample = pruned.data.train_images[:1]
    with workspace.stage("pricing"):
        ledger = price(
            RoundSpec(
                n=pruned.space.n,
                parameters=pruned.space.total,
                order=order,
                steps=T,
                padding=best.padding,
                kappa=best.kappa,
                kappa_evidence=Evidence.MODELLED,
                kappa_source=(
                    f"(1 + a) sum a^j over T = {T} steps and the best padding p = {best.padding}, a"
                    f" = {a:.4g} from the measured spectrum; couplings F_0 and F_2 left out"
                ),
                learning_rate=settings.learning_rate,
                lambda_min=spectrum.lambda_min[0],
                lambda_max=spectrum.lambda_max[0],
                spectrum_evidence=Evidence.MEASURED,
                spectrum_source="the measured spectrum before the rounds",
                sparsity=min(settings.sparsity, pruned.space.n),
                sparsity_evidence=Evidence.ASSUMED,
                sparsity_source="setting `sparsity`, the paper's condition",
                batch=settings.batch,
                forward_macs=multiply_adds(pruned.network, sample),
                masked_macs=multiply_adds(pruned.network, sample, pruned.mask),
                shots=settings.shots,
                success_probability=best.probability,
                epsilon=EPSILON,
                success_evidence=Evidence.EXACT,
                success_source=(
                    "(p + 1) ||u_T||^2 / ||Z||^2 of the first round's order-N solution, from its"
                    " terms' inner products"
                ),
            ),
            region=True,
        )
    progress.advance()
    ratio = ledger.rows.number(names.TIME_RATIO)
    progress.finish(f"{times(ratio)} the classical round")
    return ledger, list(ledger.rows.under(names.LEDGER))


def _solution_norms(run: Run) -> tuple[float, torch.Tensor]:
    """||u_T|| and ||z_t||, t = 0..T, of the first round's order-N solution, from its terms' inner
    products; z_0 = 0.
    """
    gram = torch.tensor(run.rounds[0].gram, dtype=torch.float64)
    norms = torch.tensor([0.0, *(lifted_norm(each) for each in gram)], dtype=torch.float64)
    # ||u_1 + ... + u_N||; rounding may leave a zero slightly negative
    end = math.sqrt(max(float(gram[-1].sum()), 0.0))
    return min(end, float(norms[-1])), norms
