"""Stage (f) of the main job: what one round would cost at the network's own size."""

from __future__ import annotations

from qdescent._evidence import Evidence, Row
from qdescent.carleman.bounds import history_kappa_bound
from qdescent.carleman.dissipation import step_factor
from qdescent.experiment.comparison import Pruned
from qdescent.experiment.workspace import Workspace
from qdescent.learning.networks import multiply_adds
from qdescent.linalg.spectrum import Spectrum
from qdescent.resources.logical import Instance
from qdescent.resources.verdict import Ledger, estimate
from qdescent.training.hybrid import Run


def price_round(workspace: Workspace, pruned: Pruned, spectrum: Spectrum, run: Run) -> tuple[Ledger, list[Row]]:
    """The ledger of one round (upload, K steps as one system, readout), from what the run measured.

    kappa: the bound (1 + a) sum a^j with a the largest norm of the diagonal blocks (I - eta H)^{(x)j}, from the measured
    extremes of H. The blocks beside the diagonal (F_0, F_2) are left out, so the row says "modelled". Padding is chosen to make
    kappa / success probability least.
    """
    settings = workspace.settings
    progress = workspace.progress
    progress.start("Pricing a round", 1)
    factor = float(step_factor(spectrum.nodes[spectrum.weights > 0], settings.learning_rate).max())
    a = max(factor, factor**settings.order)
    T = settings.segment
    paddings = {p: (history_kappa_bound(a, T, p), _end_probability(run, settings.order, p)) for p in range(2 * T + 1)}
    padding = min(paddings, key=lambda p: paddings[p][0] / paddings[p][1])
    kappa, probability = paddings[padding]
    sample = pruned.data.train_images[:1]
    with workspace.stage("pricing"):
        ledger = estimate(
            Instance(
                n=pruned.space.n,
                parameters=pruned.space.total,
                order=settings.order,
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
                success_evidence=Evidence.MODELLED,
                success_source="(p + 1) ||u_T||^2 / ||Z||^2 with the emulated ||u_t|| of the first round, monomials as products",
            )
        )
    progress.advance()
    progress.finish(f"{ledger.values['verdict/ratio']:.1e} times the classical round")
    return ledger, list(ledger.rows)


def _end_probability(run: Run, order: int, padding: int) -> float:
    """(p + 1) ||u_T||^2 / (sum_{t<T} ||z_t||^2 + (p + 1) ||z_T||^2), with ||z||^2 = sum_j ((1 + ||u||^2)^j - 1)."""
    squares = [0.0] + [length**2 for length in run.rounds[0].displacement]
    z = [sum((1 + s) ** j - 1 for j in range(1, order + 1)) for s in squares]
    return (padding + 1) * squares[-1] / (sum(z[:-1]) + (padding + 1) * z[-1])
