"""The page of all settings: a table for each subcommand, made from the lines that declare them."""

from __future__ import annotations

from qdescent.experiment.circuit.settings import CircuitSettings
from qdescent.experiment.estimate.settings import EstimateSettings
from qdescent.experiment.reproduce.settings import ReproduceSettings
from qdescent.experiment.run.settings import Settings
from qdescent.experiment.setting import Setting, declared
from qdescent.experiment.spectrum.settings import SpectrumSettings
from qdescent.experiment.train.settings import TrainSettings

KINDS = (
    Settings,
    TrainSettings,
    SpectrumSettings,
    CircuitSettings,
    EstimateSettings,
    ReproduceSettings,
)
HEAD = """---
hide: [navigation]
---

# Settings

Each is a flag, and under the same name, with `_` for `-`, a key of the TOML file that `--config`
names; a flag overrides the file. An integer may be written `1e6`. A value outside its range is
refused in one sentence before anything is loaded. `--out`, `--json` and (but for `circuit` and
`estimate`)
`--resume` go with every subcommand.

```toml
learning_rate = 0.05
rounds = 3
shots = 1e7
```
"""


def page(kinds: tuple[type, ...] = KINDS) -> str:
    """Markdown."""
    return "\n".join([HEAD, *(f"## qdescent {kind.command}\n\n{table(kind)}" for kind in kinds)])


def table(kind: type) -> str:
    """One row a setting, in the order in which they are declared."""
    lines = [
        "| flag | default | may be | what it is | why, and what else |",
        "|---|---|---|---|---|",
    ]
    lines += ["| " + " | ".join(_cells(each)) + " |" for each in declared(kind)]
    return "\n".join(lines) + "\n"


def _cells(setting: Setting) -> list[str]:
    flag = setting.name.upper() if setting.positional else setting.flag
    default = setting.default_text or ("required" if setting.required else "none")
    values = ", ".join(each for each in (setting.unit, setting.range) if each)
    return [f"`{flag}`", default, values or setting.noun, setting.help, setting.why]
