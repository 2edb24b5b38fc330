"""Quantum gradient descent for sparse, dissipative networks: run as circuits, emulated at full
size, measured and priced.

The working system behind Liu et al., Nature Communications 15, 434 (2024), arXiv:2303.03428. The
names below stand in the order of the algorithm; docs/design.md tells the whole.
"""

from qdescent._search_path import is_module_run, user_modules_last

if is_module_run():
    user_modules_last()  # before anything that a file beside the user could stand in for

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from qdescent._signals import quiet_while_importing

quiet_while_importing()  # nothing, unless this is the command line

if TYPE_CHECKING:  # tools read these lines; what runs is `__getattr__`, below
    from qdescent import datasets, networks
    from qdescent._checks import ArgumentError
    from qdescent._evidence import Evidence
    from qdescent.carleman.best_history import best_history
    from qdescent.carleman.dissipation import diagnose
    from qdescent.carleman.history import history_system
    from qdescent.carleman.lifting.linearization import carleman_linearize
    from qdescent.carleman.padding import best_padding
    from qdescent.carleman.truncation.preflight import preflight
    from qdescent.experiment.estimate.price import price
    from qdescent.learning.curvature.hessian import gauss_newton, hessian
    from qdescent.learning.gradient_map import gradient_map
    from qdescent.learning.masks import Mask
    from qdescent.learning.parameters import ParameterSpace
    from qdescent.learning.pruning.criteria import MASKS
    from qdescent.learning.pruning.magnitude import magnitude_mask
    from qdescent.learning.pruning.scores import mask_from_scores
    from qdescent.learning.task import Task
    from qdescent.linalg.linear_system import LinearSystem
    from qdescent.linalg.map_norms import MapNorms
    from qdescent.linalg.operator import LinearOperator
    from qdescent.linalg.polynomial_field import PolynomialField
    from qdescent.linalg.polynomial_map import PolynomialMap
    from qdescent.linalg.spectra.density import spectral_density
    from qdescent.linalg.spectra.sparsity import row_sparsity
    from qdescent.quantum.gates.loading.bucket_brigade import BucketBrigade
    from qdescent.quantum.gates.loading.qroam import QROAMLoader
    from qdescent.quantum.gates.loading.qrom import QROMLoader
    from qdescent.quantum.readout.tomography import read_out
    from qdescent.report.pages.page import write_report
    from qdescent.report.record import read_record
    from qdescent.resources.physical.surface_code import SurfaceCode
    from qdescent.resources.round_spec import RoundSpec
    from qdescent.solvers.circuit import Circuit
    from qdescent.solvers.circuits.block_encode import block_encode
    from qdescent.solvers.classical import GMRES, Direct
    from qdescent.solvers.encodings import BalancedEntries, ColouredEntries, ComposedHistory
    from qdescent.solvers.hhl import HHL
    from qdescent.solvers.kernel_reflection import KernelReflection
    from qdescent.solvers.qsvt import QSVT
    from qdescent.solvers.segment.fast_forward import fast_forward
    from qdescent.solvers.segment.map_norms import map_norms
    from qdescent.solvers.segment.map_segment import fast_forward_map
    from qdescent.solvers.series import series_descent
    from qdescent.solvers.solve import solve
    from qdescent.training.callback import SpectrumCallback
    from qdescent.training.descent import descend, train_dense
    from qdescent.training.doors.hybrid_callback import HybridCallback
    from qdescent.training.hybrid import train_hybrid
    from qdescent.training.rounds.pruning import Pruning
    from qdescent.training.schedule import AdaptiveSchedule, Schedule

try:
    __version__ = version("qdescent")
except PackageNotFoundError:  # a checkout that is not installed, as on a borrowed machine
    __version__ = "0+checkout"

__all__ = [  # noqa: RUF022  (the order of the algorithm, not of the alphabet)
    # a network, what is kept of it, and its curvature
    "Task", "networks", "datasets",
    "train_dense",
    "Mask", "MASKS", "magnitude_mask", "mask_from_scores",
    "ParameterSpace",
    "hessian", "gauss_newton", "LinearOperator", "spectral_density",
    "SpectrumCallback",
    "diagnose", "row_sparsity",
    # gradient descent as a linear system
    "gradient_map", "PolynomialMap", "PolynomialField",
    "carleman_linearize",
    "preflight",
    "history_system", "LinearSystem", "best_padding",
    "MapNorms", "map_norms", "best_history",
    # its solution: classically, by a circuit, or at full size
    "solve", "Direct", "GMRES", "QSVT", "KernelReflection", "HHL",
    "Circuit", "BalancedEntries", "ColouredEntries", "ComposedHistory", "block_encode",
    "QROMLoader", "QROAMLoader", "BucketBrigade",
    "series_descent",
    "fast_forward", "fast_forward_map",
    # readout, and the whole loop
    "read_out", "descend", "Schedule", "AdaptiveSchedule",
    "Pruning", "train_hybrid", "HybridCallback",
    # price and report
    "price", "RoundSpec", "SurfaceCode", "Evidence", "read_record",
    "write_report",
    "ArgumentError",
]  # fmt: skip

# Where each of them lives. A name loads its room when it is first asked for: a help text needs no
# torch, a spectrum no Qualtran.
_HOMES = {
    name: f"qdescent.{home}"
    for home, names in {
        "_checks": "ArgumentError",
        "_evidence": "Evidence",
        "carleman.dissipation": "diagnose",
        "carleman.best_history": "best_history",
        "carleman.history": "history_system",
        "carleman.lifting.linearization": "carleman_linearize",
        "carleman.padding": "best_padding",
        "carleman.truncation.preflight": "preflight",
        "learning.curvature.hessian": "gauss_newton hessian",
        "learning.gradient_map": "gradient_map",
        "solvers.segment.map_norms": "map_norms",
        "learning.masks": "Mask",
        "learning.parameters": "ParameterSpace",
        "learning.pruning.criteria": "MASKS",
        "learning.pruning.magnitude": "magnitude_mask",
        "learning.pruning.scores": "mask_from_scores",
        "learning.task": "Task",
        "linalg.linear_system": "LinearSystem",
        "linalg.map_norms": "MapNorms",
        "linalg.operator": "LinearOperator",
        "linalg.polynomial_field": "PolynomialField",
        "linalg.polynomial_map": "PolynomialMap",
        "linalg.spectra.density": "spectral_density",
        "linalg.spectra.sparsity": "row_sparsity",
        "quantum.gates.loading.bucket_brigade": "BucketBrigade",
        "quantum.gates.loading.qroam": "QROAMLoader",
        "quantum.gates.loading.qrom": "QROMLoader",
        "quantum.readout.tomography": "read_out",
        "report.pages.page": "write_report",
        "report.record": "read_record",
        "experiment.estimate.price": "price",
        "resources.physical.surface_code": "SurfaceCode",
        "resources.round_spec": "RoundSpec",
        "solvers.circuit": "Circuit",
        "solvers.circuits.block_encode": "block_encode",
        "solvers.classical": "GMRES Direct",
        "solvers.encodings": "BalancedEntries ColouredEntries ComposedHistory",
        "solvers.segment.fast_forward": "fast_forward",
        "solvers.segment.map_segment": "fast_forward_map",
        "solvers.hhl": "HHL",
        "solvers.kernel_reflection": "KernelReflection",
        "solvers.qsvt": "QSVT",
        "solvers.series": "series_descent",
        "solvers.solve": "solve",
        "training.callback": "SpectrumCallback",
        "training.descent": "descend train_dense",
        "training.doors.hybrid_callback": "HybridCallback",
        "training.hybrid": "train_hybrid",
        "training.rounds.pruning": "Pruning",
        "training.schedule": "AdaptiveSchedule Schedule",
    }.items()
    for name in names.split()
} | dict.fromkeys(("datasets", "networks"), "qdescent")


def __getattr__(name: str) -> Any:
    """A public name, from its room (PEP 562); from then on it is an attribute like any other."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    is_module = home == __name__
    value = import_module(f"{home}.{name}") if is_module else getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
