"""Quantum gradient descent for sparse, dissipative networks: run as circuits, emulated at full
size, measured and priced.

The working system behind Liu et al., Nature Communications 15, 434 (2024), arXiv:2303.03428. The
names below stand in the order of the algorithm; docs/design.md tells the whole.
"""

from qdescent._search_path import is_module_run, user_modules_last

if is_module_run():
    user_modules_last()  # before anything that a file beside the user could stand in for

from importlib.metadata import version

from qdescent._signals import quiet_while_importing

quiet_while_importing()  # nothing, unless this is the command line

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence, Row
from qdescent.carleman.dissipation import Dissipation, diagnose
from qdescent.carleman.history import HistorySystem, history_system
from qdescent.carleman.lifting.linearization import LiftedField, LiftedMap, carleman_linearize
from qdescent.carleman.lifting.operator import LiftedOperator, carleman_operator
from qdescent.carleman.padding import PaddingChoice, best_padding
from qdescent.carleman.truncation.preflight import Preflight, preflight
from qdescent.learning.curvature.hessian import finite_difference_hessian, gauss_newton, hessian
from qdescent.learning.datasets import ImageData, load_fashion_mnist
from qdescent.learning.gradient_map import ThresholdedMap, gradient_map, sparse_gradient_map
from qdescent.learning.masks import (
    Mask,
    full_mask,
    magnitude_mask,
    mask_from_scores,
    nonzero_mask,
    random_mask,
)
from qdescent.learning.networks.resnet import resnet, resnet18
from qdescent.learning.networks.small_cnn import fashion_cnn
from qdescent.learning.networks.transformer import vision_transformer
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.learning.taylor.gradient_series import GradientSeries
from qdescent.learning.torch_prune import mask_from_prune
from qdescent.linalg.linear_system import LinearSystem
from qdescent.linalg.operator import LinearOperator
from qdescent.linalg.polynomial_field import PolynomialField
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.linalg.spectra.density import spectral_density
from qdescent.linalg.spectra.sparsity import RowSparsity, row_sparsity
from qdescent.linalg.spectra.spectrum import Spectrum
from qdescent.quantum.gates.loaders import BucketBrigade, QROAMLoader, QROMLoader
from qdescent.quantum.readout.tomography import Readout, read_out
from qdescent.report.pages.page import write_report
from qdescent.report.record import Record, read_record, write_record
from qdescent.resources.instance import Instance
from qdescent.resources.physical import SurfaceCode
from qdescent.resources.verdict import Ledger, estimate
from qdescent.solvers.classical import GMRES, Direct
from qdescent.solvers.encodings import BalancedEntries, ColouredEntries, ComposedHistory
from qdescent.solvers.hhl import HHL
from qdescent.solvers.kernel_reflection import KernelReflection
from qdescent.solvers.qsvt import QSVT
from qdescent.solvers.series import SeriesSolution, SeriesSteps, series_descent
from qdescent.solvers.solve import Solution, Status, solve
from qdescent.training.callback import SpectrumCallback
from qdescent.training.descent import descend, train_dense
from qdescent.training.hybrid import Run, train_hybrid
from qdescent.training.schedule import AdaptiveSchedule, Schedule
from qdescent.training.tail import Tail, estimate_tail

__version__ = version("qdescent")

__all__ = [  # noqa: RUF022  (the order of the algorithm, not of the alphabet)
    # a network, what is kept of it, and its curvature
    "Task", "ImageData", "load_fashion_mnist", "fashion_cnn", "resnet", "resnet18",
    "vision_transformer", "train_dense",
    "Mask", "magnitude_mask", "random_mask", "full_mask", "nonzero_mask", "mask_from_scores",
    "mask_from_prune",
    "ParameterSpace",
    "hessian", "gauss_newton", "finite_difference_hessian", "LinearOperator", "spectral_density",
    "Spectrum", "SpectrumCallback",
    "diagnose", "Dissipation", "row_sparsity", "RowSparsity",
    # gradient descent as a linear system
    "gradient_map", "sparse_gradient_map", "ThresholdedMap", "PolynomialMap", "PolynomialField",
    "carleman_linearize", "LiftedMap", "LiftedField", "carleman_operator", "LiftedOperator",
    "preflight", "Preflight",
    "history_system", "HistorySystem", "LinearSystem", "best_padding", "PaddingChoice",
    # its solution: classically, by a circuit, or at full size
    "solve", "Solution", "Status", "Direct", "GMRES", "QSVT", "KernelReflection", "HHL",
    "BalancedEntries", "ColouredEntries", "ComposedHistory", "QROMLoader", "QROAMLoader",
    "BucketBrigade",
    "series_descent", "SeriesSteps", "SeriesSolution", "GradientSeries",
    # readout, and the whole loop
    "read_out", "Readout", "descend", "Schedule", "AdaptiveSchedule", "estimate_tail", "Tail",
    "train_hybrid", "Run",
    # price and report
    "estimate", "Instance", "SurfaceCode", "Ledger", "Evidence", "Row", "Record", "read_record",
    "write_record", "write_report",
    "ArgumentError",
]  # fmt: skip
