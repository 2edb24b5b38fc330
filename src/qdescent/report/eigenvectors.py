"""`eigenvectors.safetensors`: the eigenpairs that `qdescent spectrum --deflate` found."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from qdescent._array_checks import check_tensor
from qdescent._checks import ArgumentError, argument_error, check_path
from qdescent.linalg.spectra.deflation import Eigenpairs
from qdescent.reading.regular import named, said
from qdescent.report.files import read_tensors, write_weights

EIGENVECTORS_FILE, FORMAT = "eigenvectors.safetensors", "qdescent-eigenvectors/1"
NAMES = {"values", "vectors", "residuals", "middle"}
MUST = f"be {EIGENVECTORS_FILE} of `qdescent spectrum --deflate`, or the directory that holds it"


def write_eigenpairs(pairs: Eigenpairs, directory: Path, names: Sequence[str]) -> Path:
    """Write the pairs at once: `values`, `residuals` (d,), `vectors` (d, n), `middle` ().

    Args:
        pairs: d eigenpairs over n kept weights.
        directory: of the results.
        names: of the parameters whose kept weights are the n coordinates, one after the other; the
            header holds them as JSON.
    """
    tensors = {**vars(pairs), "vectors": pairs.vectors.T}
    header = {"format": FORMAT, "names": json.dumps(list(names))}
    return write_weights(directory / EIGENVECTORS_FILE, tensors, header)


def read_eigenpairs(path: str | Path) -> Eigenpairs:
    """The eigenpairs that a measurement found: `values`, `residuals` (d,), `vectors` (n, d).

    A column is a direction among the kept weights: `ParameterSpace(network, mask).embed(column)`
    gives it parameter by parameter, and `spectral_density(H, deflate=pairs)` goes on with them.
    Where qdescent is not at hand, `safetensors.torch.load_file` gives the tensors by name, the
    vectors as rows.

    Args:
        path: the file, or the directory of the measurement.

    Raises:
        ArgumentError: no such file, damaged, or of another content.

    Example:
        >>> import tempfile, torch
        >>> folder, e = Path(tempfile.mkdtemp()), torch.eye(3)[:, :2]
        >>> pairs = Eigenpairs(torch.tensor([-1.0, 9.0]), e, torch.zeros(2), torch.tensor(0.5))
        >>> _ = write_eigenpairs(pairs, folder, ["weight"])
        >>> read_eigenpairs(folder).values.tolist(), read_eigenpairs(folder).vectors.shape
        ([-1.0, 9.0], torch.Size([3, 2]))
    """
    path = check_path("path", path)
    path = path / EIGENVECTORS_FILE if os.path.isdir(path) else path
    tensors, header = read_tensors("path", path, "measure again")
    if header.get("format") != FORMAT or set(tensors) != NAMES:
        held = f"{said(header.get('format'))!r} with {said(', '.join(tensors)) or 'nothing'}"
        raise argument_error("path", MUST, f"{named(path)}, which holds {held}")
    vectors = tensors["vectors"]
    if vectors.ndim != 2:
        raise argument_error("path", MUST, f"{named(path)}, whose vectors are no table")
    count = len(vectors)
    try:
        for name, shape in (("values", (count,)), ("residuals", (count,)), ("middle", ())):
            tensors[name] = check_tensor(name, tensors[name], shape).double()
        if count:
            vectors = check_tensor("vectors", vectors, (count, None))
            lengths = torch.linalg.vector_norm(vectors.double(), dim=1)
            if float((lengths - 1).abs().max()) > 1e-3:
                raise argument_error("vectors", "have length 1", f"of {float(lengths.min()):.4g}")
    except ArgumentError as problem:
        raise argument_error("path", MUST, f"{named(path)} ({said(problem)})") from None
    return Eigenpairs(**{**tensors, "vectors": vectors.T})
