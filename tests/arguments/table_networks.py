"""A network, what is kept of it, and its curvature: valid calls."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from arguments.fixtures import (
    DOUBLE,
    batch,
    diagonal,
    images,
    network,
    space,
    spectrum,
    task,
    vector,
)
from arguments.sweep import Entry
from torch import nn

import qdescent as qd
from qdescent.learning.curvature.finite_differences import finite_difference_hessian
from qdescent.learning.masks import full_mask
from qdescent.learning.networks.small_cnn import multiply_adds
from qdescent.learning.pruning.nonzero import nonzero_mask
from qdescent.learning.torch_prune import mask_from_prune
from qdescent.linalg.operator import as_operator, product_error
from qdescent.linalg.spectra.deflation import extreme_eigenpairs
from qdescent.linalg.spectra.lanczos import lanczos
from qdescent.linalg.spectra.sparsity import RowSparsity
from qdescent.linalg.spectra.spectrum import Spectrum
from qdescent.training.descent import accuracy, correct

mse = nn.functional.mse_loss


def small() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 2))


def scores() -> dict[str, torch.Tensor]:
    return {"0.weight": torch.arange(4, dtype=DOUBLE).reshape(2, 2)}


def callback(**named) -> qd.SpectrumCallback:
    return qd.SpectrumCallback(
        **{"loss": mse, "data": batch(), "at": 1, "learning_rate": 0.1, "steps": 2, "budget": 100.0}
        | named
    )


def theta() -> torch.Tensor:
    return space().theta


def keep() -> dict[str, torch.Tensor]:
    return {name: torch.ones_like(w, dtype=torch.bool) for name, w in network().named_parameters()}


ENTRIES = [
    Entry("Task", qd.Task, lambda: {"network": network(), "loss": mse, "data": batch()}),
    Entry("Task.with_data", task().with_data, lambda: {"data": batch()}),
    Entry("Task.loss_at", task().loss_at, lambda: {"space": space(), "theta": theta()}),
    Entry("Task.outputs_at", task().outputs_at, lambda: {
        "space": space(), "theta": theta(), "inputs": batch()[0],
    }),
    Entry("Task.loss_and_gradient", task().loss_and_gradient, lambda: {
        "space": space(), "theta": theta(),
    }),
    Entry("Task.loss_with", task().loss_with, lambda: {
        "weights": dict(network().named_parameters()),
    }),
    Entry("Task.outputs_with", task().outputs_with, lambda: {
        "weights": dict(network().named_parameters()),
    }),
    Entry("Task.loss_of", task().loss_of, lambda: {
        "outputs": torch.zeros(3, 2, dtype=DOUBLE), "weights": dict(network().named_parameters()),
    }, skip={"outputs": "whatever the loss takes", "targets": "likewise"}),
    Entry("Task.loss_as_it_stands", task().loss_as_it_stands, lambda: {"network": network()},
        skip={"network": "whatever stands in its place", "dtype": "as of loss_with"}),
    Entry("ImageData", qd.datasets.ImageData, lambda: {
        "train_images": torch.ones(2, 1, 2, 2), "train_labels": torch.tensor([0, 1]),
        "test_images": torch.ones(2, 1, 2, 2),
        "test_labels": torch.tensor([0, 1]), "classes": ("a", "b"), "source": "made up",
    }),
    Entry("ImageData.to", qd.datasets.load_fashion_mnist().to, lambda: {"device": "cpu"},
          skip={"device": "torch's own words, as of Tensor.to"}),
    Entry("load_fashion_mnist", qd.datasets.load_fashion_mnist),
    Entry("load_cifar100", qd.datasets.load_cifar100, lambda: {"data_root": "no such folder"}),
    Entry("fashion_cnn", qd.networks.fashion_cnn, lambda: {
        "widths": (1, 1, 1), "hidden": 1, "classes": 1,
    }),
    Entry("resnet", qd.networks.resnet, lambda: {
        "depth": 8, "width": 1, "classes": 1, "channels": 1,
    }),
    Entry("resnet18", qd.networks.resnet18, lambda: {
        "widths": (1, 1, 1, 1), "classes": 1, "channels": 1,
    }),
    Entry("vision_transformer", qd.networks.vision_transformer, lambda: {
        "width": 1, "depth": 1, "heads": 1, "patch": 1, "size": 1, "classes": 1, "channels": 1,
    }),
    Entry("train_dense", qd.train_dense, lambda: {
        "network": small(), "loss": nn.functional.cross_entropy, "data": images(), "epochs": 1,
    }),
    Entry("correct", correct, lambda: {
        "task": task(), "space": space(), "theta": theta(), "images": batch()[0],
        "labels": torch.tensor([0, 1, 0]),
    }, named={'images': ('inputs', 'labels')}),
    Entry("accuracy", accuracy, lambda: {
        "task": task(), "space": space(), "theta": theta(), "images": batch()[0],
        "labels": torch.tensor([0, 1, 0]),
    }, named={'images': ('inputs', 'labels')}),
    Entry("multiply_adds", multiply_adds, lambda: {"network": network(), "sample": batch()[0][:1]}),
    Entry("Mask", qd.Mask, lambda: {"keep": keep()}, named={'keep': ('mask',)}),
    Entry("magnitude_mask", qd.magnitude_mask, lambda: {"network": network()}),
    *(
        Entry(f"MASKS[{name!r}]", criterion, lambda: {"network": network(), "task": task()})
        for name, criterion in qd.MASKS.items()
    ),
    Entry("nonzero_mask", nonzero_mask, lambda: {"network": network()}),
    Entry("full_mask", full_mask, lambda: {"network": network()}),
    Entry("mask_from_prune", mask_from_prune, lambda: {"network": network()}),
    Entry("mask_from_scores", qd.mask_from_scores, lambda: {
        "network": network(), "scores": scores(), "density": 0.5}, named={'scores': ('weights',),
    }),
    Entry("ParameterSpace", qd.ParameterSpace, lambda: {"network": network()}),
    Entry("ParameterSpace.pack", space().pack, lambda: {
        "tensors": dict(network().named_parameters()),
    }),
    Entry("ParameterSpace.entries", space().entries, lambda: {
        "tensors": dict(network().named_parameters()),
    }),
    Entry("ParameterSpace.unpack", space().unpack, lambda: {"theta": theta()}),
    Entry("ParameterSpace.point", space().point, lambda: {"theta": theta()},
        skip={"name": "of the caller's argument"}),
    Entry("ParameterSpace.pivot", space().pivot, lambda: {"theta": theta(), "network": None}),
    Entry("ParameterSpace.embed", space().embed, lambda: {"direction": theta()}),
    Entry("ParameterSpace.indices", space().indices, lambda: {"prefix": "0."}),
    Entry("ParameterSpace.restrict", space().restrict, lambda: {
        "theta": theta(), "indices": torch.tensor([0, 1]),
    }),
    Entry("hessian", qd.hessian, lambda: {"task": task(), "space": space()}),
    Entry("gauss_newton", qd.gauss_newton, lambda: {"task": task(), "space": space()}),
    Entry("finite_difference_hessian", finite_difference_hessian, lambda: {
        "gradient": lambda x: x**3, "theta": vector(1, 2),
    }),
    Entry("product_error", product_error, lambda: {
        "approximate": as_operator(diagonal(1, 2)), "reference": as_operator(diagonal(1, 2)),
        "vectors": diagonal(1, 1),
    }),
    Entry("LinearOperator", qd.LinearOperator, lambda: {"shape": (2, 2), "apply": lambda x: x}),
    Entry("LinearOperator.__matmul__", as_operator(diagonal(1, 2)).__matmul__, lambda: {
        "x": vector(1, 1),
    }),
    Entry("LinearOperator.to_dense", as_operator(diagonal(1, 2)).to_dense),
    Entry("as_operator", as_operator, lambda: {"matrix": diagonal(1, 2)},
        skip={"name": "of the caller's argument"}),
    Entry("lanczos", lanczos, lambda: {
        "operator": as_operator(diagonal(1, 2)), "vectors": torch.ones(2, 1, dtype=DOUBLE),
        "steps": 2,
    }),
    Entry("extreme_eigenpairs", extreme_eigenpairs, lambda: {
        "operator": diagonal(1, 2, 3, 4), "count": 1,
    }),
    Entry("spectral_density", qd.spectral_density, lambda: {
        "operator": diagonal(1, 2, 3), "steps": 3, "probes": 2, "check": True,
    }),
    Entry("Spectrum", Spectrum, lambda: {
        "nodes": diagonal(1, 1), "weights": torch.full((2, 2), 0.5, dtype=DOUBLE),
        "residuals": diagonal(1, 1), "size": 2,
    }),
    Entry("Spectrum.integrate", spectrum().integrate, lambda: {"f": torch.square}),
    Entry("Spectrum.interval", spectrum().interval, lambda: {"f": torch.square}),
    Entry("Spectrum.mass", spectrum().mass, lambda: {
        "low": 0.0, "high": 2.0}, named={'high': ('low',),
    }),
    Entry("Spectrum.smooth_mass", spectrum().smooth_mass, lambda: {
        "low": 0.0, "high": 2.0}, named={'high': ('low',),
    }),
    Entry("Spectrum.mass_bounds", spectrum().mass_bounds, lambda: {
        "low": 0.0, "high": 2.0}, named={'high': ('low',),
    }),
    Entry("Spectrum.density", spectrum().density, lambda: {"grid": vector(0, 1, 2)}),
    Entry("Spectrum.clusters", spectrum().clusters),
    Entry("SpectrumCallback", qd.SpectrumCallback, lambda: {
        "loss": mse, "data": batch(), "at": 1, "learning_rate": 0.1,
        "log_to": SimpleNamespace(log=lambda values: None),
    }),
    Entry("HybridCallback", qd.HybridCallback, lambda: {
        "loss": mse, "schedule": qd.Schedule(segment=1, rounds=1),
    }),
    Entry("HybridCallback.__call__", lambda network, loader: qd.HybridCallback(
        mse, qd.Schedule(segment=1, rounds=1), density=1.0)(network, loader), lambda: {
        "network": network(), "loader": [batch()],
    }),
    Entry("SpectrumCallback.step", lambda network: callback().step(network), lambda: {
        "network": network(),
    }),
    Entry("SpectrumCallback.__call__", lambda step, network: callback()(step, network), lambda: {
        "step": 1, "network": network(),
    }),
    Entry("SpectrumCallback.rows", lambda **named: callback().rows(**named), lambda: {
        "prefix": "a",
    }),
    Entry("row_sparsity", qd.row_sparsity, lambda: {"operator": diagonal(1, 2, 3)}),
    Entry("RowSparsity", RowSparsity, lambda: {
        "rows": torch.tensor([0]), "above": torch.tensor([1]), "carrying": torch.tensor([1]),
        "size": 2,
        "tolerance": 0.1, "share": 0.9,
    }),
    Entry("RowSparsity.quantiles", qd.row_sparsity(diagonal(1, 2)).quantiles),
]  # fmt: skip
