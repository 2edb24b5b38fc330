"""Stage (f) of the main job: what one round would cost at the network's own size."""

from __future__ import annotations

import math

import torch

from qdescent._evidence import Evidence, Row
from qdescent.carleman.bounds import history_kappa_bound
from qdescent.carleman.dissipation import step_factor
from qdescent.carleman.history import end_probability, lifted_norm
from qdescent.experiment.comparison import Pruned
from qdescent.experiment.workspace import Workspace
from qdescent.learning.networks import multiply_adds
from qdescent.linalg.spectrum import Spectrum
from qdescent.resources.logical import Instance
from qdescent.resources.verdict import Ledger, estimate
from qdescent.training.hybrid import Run


def price_round(workspace: Workspace, pruned: Pruned, spectrum: Spectrum, run: Run) -> tuple[Ledger, list[Row]]:
    """The ledger of one round (upload, K steps as one system, readout), from what the run measured.

    kappa: a model, (1 + a) sum a^j with a the largest norm of the diagonal blocks (I - eta H)^{(x)j}, from the measured
    extremes of H. The blocks beside the diagonal (F_0, F_2) are left out: where they are large the true kappa may be many times
    larger (`circuit/kappa_over_model` shows the quotient on the small instance). Padding is chosen to make
    kappa / success probability least.
    """
    settings = workspace.settings
    progress = workspace.progress
    progress.start("Pricing a round", 1)
    factor = float(step_factor(spectrum.nodes[spectrum.weights > 0], settings.learning_rate).max())
    order, T = run.rounds[0].order, run.rounds[0].steps
    a = max(factor, factor**order)
    paddings = {p: (history_kappa_bound(a, T, p), _end_probability(run, p)) for p in range(2 * T + 1)}
    padding = min(paddings, key=lambda p: paddings[p][0] / paddings[p][1])
    kappa, probability = paddings[padding]
    sample = pruned.data.train_images[:1]
    with workspace.stage("pricing"):
        ledger = estimate(
            Instance(
                n=pruned.space.n,
                parameters=pruned.space.total,
                order=order,
                steps=T,
                padding=padding,
                kappa=kappa,
                kappa_evidence=Evidence.MODELLED,
                kappa_source=(
                    f"(1 + a) sum a^j over T = {T} steps and the best padding p = {padding}, a = {a:.4g} from the "
                    "measured spectrum; couplings F_0 and F_2 left out"
                ),
                sparsity=min(settings.sparsity, pruned.space.n),
                sparsity_evidence=Evidence.ASSUMED,
                sparsity_source="setting `sparsity`, the paper's condition",
                batch=settings.batch,
                forward_macs=multiply_adds(pruned.network, sample),
                masked_macs=multiply_adds(pruned.network, sample, pruned.mask),
                shots=settings.shots,
                success_probability=probability,
                success_evidence=Evidence.EXACT,
                success_source="(p + 1) ||u_T||^2 / ||Z||^2 of the first round's order-N solution, from its terms' inner products",
            )
        )
    progress.advance()
    progress.finish(f"{ledger.values['verdict/ratio']:.1e} times the classical round")
    return ledger, list(ledger.rows)


def _end_probability(run: Run, padding: int) -> float:
    """`end_probability` of the first round's order-N solution, from its terms' inner products; z_0 = 0."""
    gram = torch.tensor(run.rounds[0].gram, dtype=torch.float64)
    end = math.sqrt(max(float(gram[-1].sum()), 0.0))  # ||u_1 + ... + u_N||; rounding may leave a zero slightly negative
    return end_probability(end, [0.0, *(lifted_norm(each) for each in gram)], padding)
