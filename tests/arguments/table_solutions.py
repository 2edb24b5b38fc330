"""Solving, reading out, training, pricing, reporting: valid calls."""

from __future__ import annotations

import inspect
import tempfile
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from arguments.fixtures import (
    diagonal,
    history,
    logistic,
    record,
    round_fields,
    round_spec,
    row,
    solution,
    space,
    system,
    task,
    vector,
)  # fmt: skip
from arguments.sweep import Entry
from arguments.table_systems import fields_of

import qdescent as qd
from qdescent._evidence import Row
from qdescent.learning.parallel.ranks import Ranks
from qdescent.learning.parallel.spread import Spread
from qdescent.learning.taylor.gradient_series import GradientSeries
from qdescent.quantum.algorithms.qsp_angles import qsp_angles, qsp_error, qsp_value
from qdescent.quantum.algorithms.qsvt import ProjectorPhase
from qdescent.quantum.algorithms.rounds import rounds_needed
from qdescent.quantum.gates.state_preparation import state_preparation
from qdescent.quantum.inspect.call_tree import call_tree
from qdescent.quantum.inspect.drawing import draw
from qdescent.quantum.inspect.qasm import gate_list, to_openqasm
from qdescent.quantum.inspect.toffoli_depth import toffoli_depth
from qdescent.quantum.readout.budget import (
    coherent_calls,
    coherent_error,
    sampling_error,
    shots_needed,
)
from qdescent.quantum.readout.coherent import read_out_coherently
from qdescent.quantum.readout.expected import expected_error, shots_for
from qdescent.quantum.readout.largest import choose_largest
from qdescent.quantum.readout.noise import depolarised, noisy_solution
from qdescent.quantum.readout.reference import reference_rows
from qdescent.quantum.readout.tomography import Readout
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.quantum.tables.history import history_tables
from qdescent.quantum.tables.lookup import LookUpTable
from qdescent.report.files import read_weights, write_document, write_weights
from qdescent.report.record import Record, write_record
from qdescent.resources.classical.descent import classical_cost
from qdescent.resources.classical.machines import Accelerator, measured_cpu
from qdescent.resources.counts.logical_counts import LogicalCounts
from qdescent.resources.ledger import Ledger
from qdescent.resources.ways.queries import (
    costa_queries,
    counted_kernel_queries,
    dalzell_queries,
    jennings_queries,
    kernel_reflection_queries,
    query_rows,
)
from qdescent.rows.collection import Rows
from qdescent.solvers.promise.conditioning import conditioning
from qdescent.solvers.segment.fast_forward import FastForward
from qdescent.solvers.segment.map_segment import MapSegment
from qdescent.solvers.series import SeriesSolution, SeriesSteps
from qdescent.solvers.solve import Solution, Status
from qdescent.training.descent import displacements
from qdescent.training.rounds.record import Run
from qdescent.training.tail import Tail
from qdescent.training.tail_estimate import estimate_tail

folder = Path(tempfile.mkdtemp())
series = GradientSeries(task(), space(), space().theta, 2)


def started() -> qd.PolynomialMap:
    return qd.PolynomialMap([vector(0.1), diagonal(0.9), diagonal(0.1)])


map_segment = qd.fast_forward_map(started(), steps=4, epsilon=1e-3)
forwarded = qd.fast_forward(task(), space(), steps=4, learning_rate=0.01)
descent = qd.series_descent(task(), space(), order=2, steps=2, learning_rate=0.01)
readout = qd.read_out(vector(3, -4), 100)
run = qd.train_hybrid(
    [task()], space(), qd.Schedule(order=1, segment=2, rounds=1, learning_rate=0.01)
)
tail = Tail(0.01, 0.1)
query = qd.block_encode([[1.0, 2.0], [0.5, 1.0]], 1e-2)
encoding_plan = qd.BalancedEntries().plan(qd.LinearSystem([[1.0, 2.0], [0.5, 1.0]], [1.0, 1.0]))
loader = qd.QROAMLoader()
ledger = Ledger(Rows([row()]), "made up")
table = LookUpTable(np.array([3, 1, 2]), bits=2)
phase = ProjectorPhase(0.25, 2)
ENUM = {"value": "an Enum's own look-up"}
kappa = {"kappa": 40.0, "epsilon": 0.1}


def first(function):
    """A generator's first two values, under the generator's own signature."""

    def call(**named):
        return list(islice(function(**named), 2))

    call.__signature__ = inspect.signature(function)
    return call


def descending() -> dict:
    return {"task": task(), "space": space(), "theta": space().theta, "learning_rate": 0.01}


ENTRIES = [
    Entry("solve", qd.solve, lambda: {"system": system(), "solver": qd.Direct()}),
    Entry("Solution", Solution, lambda: fields_of(solution())),
    Entry("Status", lambda value: Status(value), lambda: {"value": Status.SOLVED}, skip=ENUM),
    Entry("Circuit", qd.Circuit),
    Entry("BalancedEntries", qd.BalancedEntries),
    Entry("BalancedEntries.plan", qd.BalancedEntries().plan, lambda: {"system": system()}),
    Entry("ColouredEntries", qd.ColouredEntries),
    Entry("ColouredEntries.plan", qd.ColouredEntries().plan, lambda: {"system": system()}),
    Entry("ComposedHistory", qd.ComposedHistory, lambda: {
        "maps": logistic(), "order": 2, "steps": 3, "padding": 1,
    }),
    Entry("ComposedHistory.plan", qd.ComposedHistory(logistic(), 2, 3, 1).plan, lambda: {
        "system": history(),
    }),
    Entry("conditioning", conditioning, lambda: {"system": system(), "kappa": 4.0}),
    Entry("QROMLoader", qd.QROMLoader),
    Entry("QROMLoader.in_place", qd.QROMLoader().in_place, lambda: {"table": table}),
    Entry("QROMLoader.reader", qd.QROMLoader().reader, lambda: {"table": table}),
    Entry("QROMLoader.reading", qd.QROMLoader().reading, lambda: {"table": table}),
    Entry("QROMLoader.load_cost", qd.QROMLoader().load_cost, lambda: {"entries": 8, "bits": 4}),
    Entry("QROMLoader.clear_cost", qd.QROMLoader().clear_cost, lambda: {"entries": 8, "bits": 4}),
    Entry("QROMLoader.read_cost", qd.QROMLoader().read_cost, lambda: {"entries": 8, "bits": 4}),
    Entry("QROAMLoader", qd.QROAMLoader),
    Entry("QROAMLoader.load_block", qd.QROAMLoader().load_block, lambda: {"table": table}),
    Entry("QROAMLoader.read_block", qd.QROAMLoader().read_block, lambda: {"table": table}),
    Entry("QROAMLoader.in_place", qd.QROAMLoader().in_place, lambda: {"table": table}),
    Entry("QROAMLoader.reader", qd.QROAMLoader().reader, lambda: {"table": table}),
    Entry("QROAMLoader.reading", qd.QROAMLoader().reading, lambda: {"table": table}),
    Entry("QROAMLoader.load_cost", qd.QROAMLoader().load_cost, lambda: {"entries": 8, "bits": 4}),
    Entry("QROAMLoader.clear_cost", qd.QROAMLoader().clear_cost, lambda: {"entries": 8, "bits": 4}),
    Entry("QROAMLoader.read_cost", qd.QROAMLoader().read_cost, lambda: {"entries": 8, "bits": 4}),
    Entry("BucketBrigade", qd.BucketBrigade),
    Entry("BucketBrigade.in_place", qd.BucketBrigade().in_place, lambda: {"table": table}),
    Entry("BucketBrigade.reader", qd.BucketBrigade().reader, lambda: {"table": table}),
    Entry("BucketBrigade.reading", qd.BucketBrigade().reading, lambda: {"table": table}),
    Entry("BucketBrigade.load_cost", qd.BucketBrigade().load_cost, lambda: {
        "entries": 8, "bits": 4,
    }),
    Entry("BucketBrigade.clear_cost", qd.BucketBrigade().clear_cost, lambda: {
        "entries": 8, "bits": 4,
    }),
    Entry("BucketBrigade.read_cost", qd.BucketBrigade().read_cost, lambda: {
        "entries": 8, "bits": 4,
    }),
    Entry("LookUpTable.ands", table.ands),
    Entry("LookUpTable", LookUpTable, lambda: {"entries": np.array([3, 1, 2]), "bits": 2}),
    Entry("series_descent", qd.series_descent, lambda: {
        "task": task(), "space": space(), "order": 2, "steps": 2, "learning_rate": 0.01,
    }),
    Entry("fast_forward", qd.fast_forward, lambda: {
        "task": task(), "space": space(), "steps": 4, "learning_rate": 0.01,
    }),
    Entry("fast_forward_map", qd.fast_forward_map, lambda: {
        "f": started(), "steps": 4, "order": 2, "epsilon": 1e-3, "nodes": 2,
    }),
    Entry("MapSegment", MapSegment, lambda: fields_of(map_segment)),
    Entry("FastForward", FastForward, lambda: fields_of(forwarded)),
    Entry("FastForward.after", forwarded.after, lambda: {"steps": 3}),
    Entry("SeriesSteps", SeriesSteps, lambda: {**descending(), "order": 2}),
    Entry("SeriesSolution", SeriesSolution, lambda: fields_of(descent)),
    Entry("GradientSeries", GradientSeries, lambda: {
        "task": task(), "space": space(), "theta": space().theta, "order": 2,
    }),
    Entry("GradientSeries.__call__", series.__call__, lambda: {
        "terms": torch.ones(2, space().n, dtype=torch.float64),
    }),
    Entry("GradientSeries.over", series.over, lambda: {
        "parts": torch.ones(2, space().n, dtype=torch.float64),
        "spread": Spread(space().n, Ranks()), "weight": 0.5,
    }),
    Entry("read_out", qd.read_out, lambda: {
        "solution": vector(3, -4), "shots": 100, "largest": 1,
    }),
    Entry("read_out of a loss", qd.read_out, lambda: {
        "solution": vector(3, -4), "shots": 100, "loss": 0.1,
    }, named={"largest": ("loss",)}),
    Entry("read_out_coherently", read_out_coherently, lambda: {
        "solution": vector(3, -4), "epsilon": 0.1, "largest": 1,
    }),
    Entry("choose_largest", choose_largest, lambda: {
        "counts": torch.tensor([5, 0, 3]), "loss": 0.1,
    }),
    Entry("Readout", Readout, lambda: fields_of(readout), named={'vector': ('error',)}),
    Entry("expected_error", expected_error, lambda: {
        "vector": vector(3, -4), "shots": 100, "largest": 1,
    }),
    Entry("shots_for", shots_for, lambda: {
        "vector": vector(3, -4), "epsilon": 0.1, "largest": 2,
    }, named={"vector": ("epsilon",)}),
    Entry("shots_needed", shots_needed, lambda: {"kept": 10, "epsilon": 0.1}),
    Entry("sampling_error", sampling_error, lambda: {"kept": 10, "shots": 100}),
    Entry("coherent_calls", coherent_calls, lambda: {"kept": 10, "epsilon": 0.1}),
    Entry("coherent_error", coherent_error, lambda: {"kept": 10, "calls": 100}),
    Entry("reference_rows", reference_rows, lambda: {"support": 10, "entries": 20, "shots": 5},
          named={"support": ("entries",)}),
    Entry("depolarised", depolarised, lambda: {
        "probabilities": vector(1, 0), "queries": 2, "qubits": 1, "rate": 0.5,
    }),
    Entry("noisy_solution", noisy_solution, lambda: {
        "solution": vector(3, 4), "success_probability": 0.5, "queries": 2, "qubits": 2,
        "rate": 0.1,
    }),
    Entry("qsp_angles", qsp_angles, lambda: {
        "coefficients": [0.0, 0.5, 0.0, 0.2]},
        named={'tolerance': ('coefficients',), 'oversampling': ('coefficients',),
    }),
    Entry("qsp_value", qsp_value, lambda: {"psi": [0.1, 0.2], "x": 0.5}),
    Entry("qsp_error", qsp_error, lambda: {"psi": [0.1, 0.2], "coefficients": [0.0, 0.5]}),
    Entry("rounds_needed", rounds_needed, lambda: {"probability": 0.1}),
    Entry("state_preparation", state_preparation, lambda: {
        "vector": np.array([3.0, 4.0]), "bits": 8}, named={'bits': ('angle_bits',),
    }),
    Entry("history_tables", history_tables, lambda: {
        "maps": logistic(), "order": 2, "steps": 3, "padding": 1,
        "bits": 8}, named={'bits': ('angle_bits',),
    }),
    Entry("ProjectorPhase", ProjectorPhase, lambda: {"phi": 0.25, "ancilla_bits": 2}),
    Entry("Simulator", Simulator),
    Entry("Simulator.run", Simulator().run, lambda: {"bloq": phase}),
    Entry("draw", draw, lambda: {"bloq": phase}),
    Entry("block_encode", qd.block_encode, lambda: {
        "matrix": torch.tensor([[1.0, -0.5], [0.0, 2.0]], dtype=torch.float64), "epsilon": 1e-2,
        "angle_bits": 12, "encoding": qd.ColouredEntries(), "loader": qd.QROMLoader(),
    }, named={"epsilon": ("angle_bits",)}),
    Entry("BlockEncoding.augmented", query.augmented, lambda: {"norm_estimate": 1.5}),
    Entry("BlockEncoding.prepared", query.prepared, lambda: {"vector": np.array([0.6, 0.8])}),
    Entry("BlockEncoding.right_side", query.right_side, lambda: {"vector": np.array([0.6, 0.8])}),
    Entry("EncodingPlan.encode", encoding_plan.encode, lambda: {
        "bits": 8, "loader": qd.QROMLoader(),
    }),
    Entry("Loader.load_cost", loader.load_cost, lambda: {"entries": 8, "bits": 4}),
    Entry("Loader.clear_cost", loader.clear_cost, lambda: {"entries": 8, "bits": 4}),
    Entry("Loader.read_cost", loader.read_cost, lambda: {"entries": 8, "bits": 4}),
    Entry("call_tree", call_tree, lambda: {"bloq": phase}),
    Entry("toffoli_depth", toffoli_depth, lambda: {"bloq": phase}),
    Entry("gate_list", gate_list, lambda: {"bloq": phase}),
    Entry("to_openqasm", to_openqasm, lambda: {"bloq": phase}),
    Entry("descend", first(qd.descend), descending),
    Entry("displacements", first(displacements), descending),
    Entry("Schedule", qd.Schedule),
    Entry("Schedule.accepts", qd.Schedule().accepts, lambda: {"tail": tail}),
    Entry("Schedule.work", qd.Schedule().work, lambda: {"order": 2, "steps": 3}),
    Entry("Schedule.rule", qd.Schedule().rule, lambda: {"round_index": 1}),
    Entry("AdaptiveSchedule.rule", qd.AdaptiveSchedule().rule, lambda: {"round_index": 1}),
    Entry("Pruning", qd.Pruning),
    Entry("Pruning.density_at", qd.Pruning(rounds=3).density_at, lambda: {"round_index": 1}),
    Entry("AdaptiveSchedule", qd.AdaptiveSchedule),
    Entry("AdaptiveSchedule.left_to_read", qd.AdaptiveSchedule().left_to_read,
          lambda: {"tail": tail}),
    Entry("AdaptiveSchedule.accepts", qd.AdaptiveSchedule().accepts, lambda: {"tail": tail}),
    Entry("AdaptiveSchedule.work", qd.AdaptiveSchedule().work, lambda: {"order": 2, "steps": 3}),
    Entry("estimate_tail", estimate_tail, lambda: {"gram": diagonal(1, 0.01), "order": 2}),
    Entry("Tail", Tail, lambda: {"error": 0.1, "growth": 0.1}),
    Entry("train_hybrid", qd.train_hybrid, lambda: {
        "tasks": [task()], "space": space(),
        "schedule": qd.Schedule(order=1, segment=2, rounds=1, learning_rate=0.01),
    }),
    Entry("Run", Run, lambda: fields_of(run)),
    Entry("price", qd.price, lambda: {"what": round_spec()}),
    Entry("RoundSpec", qd.RoundSpec, round_fields,
        named={"n": ("sparsity",), "parameters": ("n",), "padding": ("kappa",),
            "learning_rate": ("lambda_min",), "lambda_min": ("learning_rate",),
            "lambda_max": ("learning_rate",)}),
    Entry("SurfaceCode", qd.SurfaceCode),
    Entry("SurfaceCode.estimate", qd.SurfaceCode().estimate, lambda: {
        "counts": LogicalCounts(10, toffoli=100),
    }, named={"runs": ("counts",)}),
    Entry("SurfaceCode.cross_check", qd.SurfaceCode().cross_check, lambda: {
        "counts": LogicalCounts(10, toffoli=100), "factory": (15, 31),
    }),
    Entry("Accelerator", Accelerator),
    Entry("LogicalCounts", LogicalCounts, lambda: {"qubits": 1}),
    Entry("classical_cost", classical_cost, lambda: {"spec": round_spec()}),
    Entry("measured_cpu", measured_cpu, lambda: {"flops": 1e9, "bandwidth": 1e9}),
    Entry("dalzell_queries", dalzell_queries, lambda: kappa),
    Entry("kernel_reflection_queries", kernel_reflection_queries, lambda: kappa),
    Entry("jennings_queries", jennings_queries, lambda: kappa),
    Entry("costa_queries", costa_queries, lambda: kappa),
    Entry("counted_kernel_queries", counted_kernel_queries, lambda: kappa),
    Entry("query_rows", query_rows, lambda: {**kappa, "kappa_evidence": qd.Evidence.EXACT}),
    Entry("Ledger", Ledger, lambda: fields_of(ledger)),
    Entry("Evidence", lambda value: qd.Evidence(value), lambda: {"value": "exact"}, skip=ENUM),
    Entry("Row", Row, lambda: fields_of(row())),
    Entry("Row.to_json", row().to_json),
    Entry("Row.from_json", Row.from_json, lambda: {"fields": row().to_json()}),
    Entry("Record", Record, lambda: {
        "name": "demo", "config": {}, "seed": 0, "versions": {}, "rows": (row(),),
    }),
    Entry("Rows", Rows, lambda: {"rows": [row()]}),
    Entry("Rows.number", record().rows.number, lambda: {"name": "network/kept"}),
    Entry("Rows.under", record().rows.under, lambda: {"section": "run/"}),
    Entry("Rows.section", record().rows.section, lambda: {"prefix": "network/"}),
    Entry("read_record", qd.read_record, lambda: {"path": write_record(record(), folder)}),
    Entry("write_record", write_record, lambda: {"record": record(), "directory": folder}),
    Entry("write_report", qd.write_report, lambda: {
        "record": record(), "path": folder / "report.html",
    }),
    Entry("write_document", write_document, lambda: {"path": folder / "a.txt", "text": "a"}),
    Entry("write_weights", write_weights, lambda: {
        "path": folder / "w.safetensors", "tensors": {"w": vector(1, 2)},
    }),
    Entry("read_weights", read_weights, lambda: {
        "path": write_weights(folder / "w.safetensors", {"w": vector(1)}),
    }),
]  # fmt: skip
