"""Gradient descent as a linear system: valid calls."""

from __future__ import annotations

import torch
from arguments.fixtures import (
    diagonal,
    equation,
    history,
    lift,
    logistic,
    space,
    spectrum,
    task,
    vector,
)  # fmt: skip
from arguments.sweep import Entry

import qdescent as qd
from qdescent.carleman.best_history import HistoryChoice
from qdescent.carleman.bounds import geometric_kappa_bound, power_kappa_bound
from qdescent.carleman.dissipation import Dissipation, step_factor
from qdescent.carleman.history import HistorySystem
from qdescent.carleman.lifting.coordinates import Coordinates
from qdescent.carleman.lifting.linearization import LiftedField, LiftedMap
from qdescent.carleman.lifting.operator import LiftedOperator, carleman_operator
from qdescent.carleman.majorant import history_kappa_bound
from qdescent.carleman.padding import PaddingChoice
from qdescent.carleman.state_norms import end_probability, lifted_norm
from qdescent.carleman.truncation.field_bounds import (
    comparison_error_bound,
    field_norms,
    liu_number,
)
from qdescent.carleman.truncation.map_bounds import (
    descent_number,
    map_error_bounds,
    map_number,
    uniform_error_bounds,
)
from qdescent.carleman.truncation.norms import coefficient_norm, log_norm
from qdescent.carleman.truncation.preflight import Preflight
from qdescent.learning.gradient_map import ThresholdedMap, sparse_gradient_map
from qdescent.linalg.chebyshev import filter_value, kernel_filter, minimax_inverse
from qdescent.linalg.chebyshev_transforms import apply_even_transform, apply_odd_transform
from qdescent.linalg.operator import as_operator

found = qd.diagnose(spectrum(), 0.1, horizon=4)
thresholded = sparse_gradient_map(task(), space(), 0.1)
field_lift = qd.carleman_linearize(equation(), 2)
operator = carleman_operator(logistic(), 2)
checked = qd.preflight(logistic(), vector(0.1), 3)
norms = qd.MapNorms(constant=0.1, linear=0.9, higher=(0.1,))
chosen = qd.best_history(norms, 2, 4)
padded = qd.best_padding(0.9, torch.ones(5, dtype=torch.float64))


def fields_of(value) -> dict:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


ENTRIES = [
    Entry("diagnose", qd.diagnose, lambda: {
        "spectrum": spectrum(), "learning_rate": 0.1, "horizon": 4,
    }),
    Entry("step_factor", step_factor, lambda: {"eigenvalue": vector(1, 2), "learning_rate": 0.1}),
    Entry("Dissipation", Dissipation, lambda: fields_of(found), named={'horizon': ('proxy',)}),
    Entry("Dissipation.divergence_step", found.divergence_step),
    Entry("Dissipation.history_kappa", found.history_kappa),
    Entry("gradient_map", qd.gradient_map, lambda: {
        "task": task(), "space": space(), "learning_rate": 0.1,
    }),
    Entry("sparse_gradient_map", sparse_gradient_map, lambda: {
        "task": task(), "space": space(), "learning_rate": 0.1,
    }),
    Entry("ThresholdedMap", ThresholdedMap, lambda: fields_of(thresholded)),
    Entry("ThresholdedMap.step_error", thresholded.step_error, lambda: {"radius": 0.1}),
    Entry("PolynomialMap", qd.PolynomialMap, lambda: {
        "coefficients": [vector(0.0), diagonal(0.9)],
    }),
    Entry("PolynomialMap.__call__", logistic().__call__, lambda: {"u": vector(0.5)}),
    Entry("PolynomialMap.iterate", logistic().iterate, lambda: {"u": vector(0.5), "steps": 2}),
    Entry("PolynomialMap.rescaled", logistic().rescaled, lambda: {"gamma": 2.0}),
    Entry("PolynomialMap.recentred", logistic().recentred, lambda: {"pivot": vector(0.5)}),
    Entry(
        "PolynomialMap.with_momentum",
        logistic().with_momentum,
        lambda: {
            "momentum": 0.5, "dampening": 0.1, "nesterov": True, "shrink": 0.1, "pivot": vector(1),
        },
    ),
    Entry("PolynomialField", qd.PolynomialField, lambda: {
        "coefficients": [vector(0.0), diagonal(0.9)],
    }),
    Entry("PolynomialField.at", equation().at, lambda: {"t": 0.5}),
    Entry("PolynomialField.__call__", equation().__call__, lambda: {"u": vector(0.5)}),
    Entry("PolynomialField.euler_map", equation().euler_map, lambda: {"step": 0.5}),
    Entry("PolynomialField.rescaled", equation().rescaled, lambda: {"gamma": 2.0}),
    Entry("PolynomialField.recentred", equation().recentred, lambda: {"pivot": vector(0.5)}),
    Entry("carleman_linearize", qd.carleman_linearize, lambda: {"f": logistic(), "order": 2}),
    Entry("LiftedMap", LiftedMap, lambda: fields_of(lift())),
    Entry("LiftedMap.to_sparse", lift().to_sparse),
    Entry("LiftedMap.__matmul__", lift().__matmul__, lambda: {
        "z": torch.ones(lift().dimension, dtype=torch.float64),
    }),
    Entry("LiftedMap.step", lift().step, lambda: {
        "z": torch.ones(lift().dimension, dtype=torch.float64),
    }),
    Entry("LiftedMap.lift", lift().lift, lambda: {"u": vector(0.5)}),
    Entry("LiftedMap.project", lift().project, lambda: {
        "z": torch.ones(lift().dimension, dtype=torch.float64),
    }),
    Entry("LiftedField", LiftedField, lambda: fields_of(field_lift)),
    Entry("LiftedField.lift", field_lift.lift, lambda: {"u": vector(0.5)}),
    Entry("LiftedField.project", field_lift.project, lambda: {
        "z": torch.ones(field_lift.dimension, dtype=torch.float64),
    }),
    Entry("LiftedField.at", field_lift.at, lambda: {"t": 0.5}),
    Entry("LiftedField.to_sparse", field_lift.to_sparse),
    Entry("LiftedField.derivative", field_lift.derivative, lambda: {
        "z": torch.ones(field_lift.dimension, dtype=torch.float64),
    }),
    Entry("LiftedField.euler_step", field_lift.euler_step, lambda: {"step": 0.5}),
    Entry("LiftedField.integrate", field_lift.integrate, lambda: {
        "u0": vector(0.5), "step": 0.1, "steps": 2,
    }),
    Entry("carleman_operator", carleman_operator, lambda: {"f": logistic(), "order": 2}),
    Entry("LiftedOperator", LiftedOperator, lambda: {
        "shape": (2, 2), "apply": lambda x: x, "offset": vector(0.5, 1), "coordinates":
        Coordinates(2, 1, "plain")}, named={"shape": ("offset",)}),
    Entry("LiftedOperator.step", operator.step, lambda: {
        "z": torch.ones(operator.shape[0], dtype=torch.float64),
    }),
    Entry("LiftedOperator.lift", operator.lift, lambda: {"u": vector(0.5)}),
    Entry("LiftedOperator.project", operator.project, lambda: {
        "z": torch.ones(operator.shape[0], dtype=torch.float64),
    }),
    Entry("Bound.order_for", checked.bounds[0].order_for, lambda: {"error": 0.1}),
    Entry("preflight", qd.preflight, lambda: {"f": logistic(), "u0": vector(0.1), "steps": 3}),
    Entry("Preflight", Preflight, lambda: fields_of(checked)),
    Entry("Preflight.best", checked.best, lambda: {"order": 2}),
    Entry("Preflight.rows", checked.rows),
    Entry("history_system", qd.history_system, lambda: {
        "f": logistic(), "u0": vector(0.5), "steps": 3, "order": 2,
    }),
    Entry("HistorySystem", HistorySystem, lambda: fields_of(history()),
        named={'steps': ('block',), 'padding': ('block',), 'block': ('variables',)}),
    Entry("HistorySystem.extract", history().extract, lambda: {"solution": history().rhs}),
    Entry("HistorySystem.trajectory", history().trajectory, lambda: {"solution": history().rhs}),
    Entry("HistorySystem.end_probability", history().end_probability, lambda: {
        "solution": history().rhs,
    }),
    Entry("LinearSystem", qd.LinearSystem, lambda: {"matrix": diagonal(1, 2), "rhs": vector(1, 1)}),
    Entry("LinearSystem.entries", history().entries),
    Entry("LinearSystem.residual", history().residual, lambda: {"solution": history().rhs}),
    Entry("LinearSystem.extract", history().extract, lambda: {"solution": history().rhs}),
    Entry("best_padding", qd.best_padding, lambda: {
        "power_norms": 0.9, "state_norms": torch.ones(5, dtype=torch.float64),
    }),
    Entry("PaddingChoice", PaddingChoice, lambda: fields_of(padded)),
    Entry("PaddingChoice.rows", padded.rows),
    Entry("MapNorms", qd.MapNorms, lambda: {"constant": 0.1, "linear": 0.9, "higher": (0.1,)}),
    Entry("MapNorms.scaled", norms.scaled, lambda: {"scale": 2.0}),
    Entry("MapNorms.power_bounds", norms.power_bounds, lambda: {"steps": 4}),
    Entry("MapNorms.drift_bounds", norms.drift_bounds, lambda: {"steps": 4}),
    Entry("MapNorms.of_word", norms.of_word, lambda: {"word": (0, 1)}),
    Entry("history_kappa_bound", history_kappa_bound, lambda: {
        "norms": norms, "order": 2, "steps": 4,
    }),
    Entry("map_norms", qd.map_norms, lambda: {
        "task": task(), "space": space(), "learning_rate": 0.1,
    }),
    Entry("best_history", qd.best_history, lambda: {"norms": norms, "order": 2, "steps": 4}),
    Entry("HistoryChoice", HistoryChoice, lambda: fields_of(chosen)),
    Entry("HistoryChoice.rows", chosen.rows),
    Entry("geometric_kappa_bound", geometric_kappa_bound, lambda: {"step_norm": 0.5, "steps": 4}),
    Entry("power_kappa_bound", power_kappa_bound, lambda: {"power_norms": vector(1, 0.5, 0.25)}),
    Entry("end_probability", end_probability, lambda: {
        "end": 0.5, "norms": [1.0, 0.5], "padding": 1,
    }),
    Entry("lifted_norm", lifted_norm, lambda: {"gram": diagonal(4, 1)}),
    Entry("map_error_bounds", map_error_bounds, lambda: {
        "norms": [0.0, 0.9, 0.1], "start_norm": 0.5, "steps": 3, "order": 2,
    }),
    Entry("map_number", map_number, lambda: {"norms": [0.0, 0.9, 0.1], "start_norm": 0.5}),
    Entry("uniform_error_bounds", uniform_error_bounds, lambda: {
        "norms": [0.0, 0.9, 0.1], "start_norm": 0.5, "order": 2,
    }),
    Entry("descent_number", descent_number, lambda: {
        "lambda_min": 0.5, "third_norm": 0.5, "start_norm": 0.5,
    }),
    Entry("liu_number", liu_number, lambda: {
        "start_norm": 0.5, "rate": -1.0, "quadratic_norm": 0.5,
    }),
    Entry("comparison_error_bound", comparison_error_bound, lambda: {
        "start_norm": 0.5, "rate": -1.0, "quadratic_norm": 0.5, "order": 2, "time": 1.0,
    }),
    Entry("field_norms", field_norms, lambda: {
        "coefficients": equation().coefficients, "u0": vector(0.5),
    }),
    Entry("coefficient_norm", coefficient_norm, lambda: {"F": diagonal(1, 2)}),
    Entry("log_norm", log_norm, lambda: {"F1": diagonal(1, 2)}),
    Entry("minimax_inverse", minimax_inverse, lambda: {"kappa": 4.0, "epsilon": 0.1}),
    Entry("kernel_filter", kernel_filter, lambda: {"kappa": 4.0, "epsilon": 0.1}),
    Entry("filter_value", filter_value, lambda: {"kappa": 4.0, "degree": 4, "x": 0.5}),
    Entry("apply_odd_transform", apply_odd_transform, lambda: {
        "coefficients": [0.0, 1.0], "operator": as_operator(diagonal(0.5, 1)),
        "vector": vector(1, 1),
    }),
    Entry("apply_even_transform", apply_even_transform, lambda: {
        "coefficients": [1.0, 0.0, 1.0], "operator": as_operator(diagonal(0.5, 1)),
        "vector": vector(1, 1),
    }),
]  # fmt: skip
