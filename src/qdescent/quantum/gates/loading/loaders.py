"""Every way to load a table, by name."""

from __future__ import annotations

from qdescent.quantum.gates.loading.bucket_brigade import BucketBrigade
from qdescent.quantum.gates.loading.loader import Loader
from qdescent.quantum.gates.loading.qroam import QROAMLoader
from qdescent.quantum.gates.loading.qrom import QROMLoader

# the words of `qdescent circuit --loader`
LOADERS: dict[str, Loader] = {
    "qrom": QROMLoader(),
    "qrom-measured": QROMLoader("measured"),
    "qroam": QROAMLoader(),
    "qroam-measured": QROAMLoader(clearing="measured"),
    "qroam-dirty": QROAMLoader(dirty=True),
    "bucket-brigade": BucketBrigade(),
}
