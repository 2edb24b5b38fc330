"""Settings declared once: flag, TOML key, check, help and the docs' table come from one line."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import settings as page_of_settings

from qdescent._checks import ArgumentError
from qdescent.experiment.circuit.settings import CircuitSettings
from qdescent.experiment.estimate.settings import EstimateSettings
from qdescent.experiment.reproduce.settings import ReproduceSettings
from qdescent.experiment.run.settings import Settings
from qdescent.experiment.setting import (
    SWITCH,
    TEXT,
    check_settings,
    declared,
    load_settings,
    setting,
)
from qdescent.experiment.spectrum.settings import SpectrumSettings
from qdescent.experiment.train.settings import TrainSettings
from qdescent.linalg.spectra.density import MOST_PROBES
from qdescent.linalg.spectra.lanczos import MOST_STEPS

ROOT = Path(__file__).parents[2]
KINDS = {
    "run": Settings,
    "train": TrainSettings,
    "spectrum": SpectrumSettings,
    "circuit": CircuitSettings,
    "estimate": EstimateSettings,
}
NEEDED = {
    "run": [],
    "train": [],
    "spectrum": ["a:b", "--data", "c.npz"],
    "circuit": ["map.npz"],
    "estimate": [],
}


def qdescent(*words: str, source: Path = ROOT / "src", **environment: str) -> tuple[int, str]:
    """(exit code, what was said, in one line) of the command line of a copy of the package."""
    result = subprocess.run(
        [sys.executable, "-m", "qdescent", *words],
        env={**os.environ, "PYTHONPATH": str(source), "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return result.returncode, " ".join((result.stdout + result.stderr).split())


LINE = '    retries: int = setting(3, "[1, 9]", "Rounds without progress.", unit="rounds")\n'


@pytest.mark.parametrize("command", KINDS)
def test_a_new_setting_is_one_line_in_one_file(command, tmp_path):
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("data"))
    file = tmp_path / "src/qdescent/experiment" / command / "settings.py"
    text = file.read_text()
    here = text.index("\n    def __post_init__")
    file.write_text(text[:here] + LINE + text[here:])
    (tmp_path / "s.toml").write_text("retries = 1e1\n")
    (tmp_path / "t.toml").write_text("retreis = 2\n")
    words, source = [command, *NEEDED[command]], tmp_path / "src"
    told = "Rounds without progress. [1 to 9; default: 3]"
    assert f"--retries ROUNDS {told}" in qdescent(command, "--help", source=source)[1]
    refused = "qdescent: Argument `retries` must be in [1, 9], but is 10."
    for more in (["--retries", "1e1"], ["--config", str(tmp_path / "s.toml")]):
        assert qdescent(*words, *more, source=source) == (2, refused)
    said = qdescent(*words, "--config", str(tmp_path / "t.toml"), source=source)[1]
    assert "(did you mean 'retries'?)" in said
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'tools/docs')!r}); import settings; from"
        f" qdescent.experiment.{command}.settings import *; print(settings.page())"
    )
    table = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "| `--retries` | 3 | rounds, 1 to 9 | Rounds without progress. |  |" in table
    assert "retries" not in page_of_settings.page()  # the copy's page, not this one's


@dataclass(frozen=True)
class Toy:
    """One setting of each kind."""

    command: ClassVar[str] = "toy"
    count: int = setting(1, "[0, inf)", "A count.")
    rate: float = setting(0.5, "(0, 1]", "A rate.")
    share: float | None = setting(None, "[0, 1)", "A share.", left_open="all")
    way: str = setting("near", ("near", "far"), "A way.")
    name: str = setting("x", TEXT, "A name.")
    note: str = setting("", TEXT, "A note.")
    parts: tuple[str, ...] = setting((), TEXT, "Parts.")
    loud: bool = setting(False, SWITCH, "Whether.")
    rates: float | tuple[float, ...] = setting(0.5, "(0, 1]", "Rates.")

    def __post_init__(self) -> None:
        check_settings(self)


@pytest.mark.parametrize(
    ("name", "flag", "toml", "value"),
    [
        ("count", "1e8", "1e8", 100_000_000),
        ("count", "1.5e3", "1.5e3", 1500),
        ("count", "1_000", "1_000", 1000),
        ("count", "1e23", "1e23", 10**23),  # not 99999999999999991611392
        ("count", "0", "0", 0),
        ("count", "-0.0", "-0.0", 0),
        ("rate", "1", "1", 1.0),
        ("rate", "2e-1", "2e-1", 0.2),
        ("share", "0", "0", 0.0),
        ("rates", "1", "1", 1.0),
        ("rates", ".5, 1", "[0.5, 1]", (0.5, 1.0)),
        ("rates", "1e-1,", "[0.1]", (0.1,)),
        ("way", "far", '"far"', "far"),
        ("name", "1e8", '"1e8"', "1e8"),
        ("note", "", '""', ""),
        ("parts", ("a=1", "b"), '["a=1", "b"]', ("a=1", "b")),
        ("loud", True, "true", True),
    ],
)
def test_flags_and_files_are_read_alike(name, flag, toml, value, tmp_path):
    (tmp_path / "s.toml").write_text(f"{name} = {toml}\n")
    for made in (
        load_settings(Toy, None, {name: flag}),
        load_settings(Toy, tmp_path / "s.toml", {name: None}),
    ):
        found = getattr(made, name)
        assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "flag", "toml"),
    [
        ("count", "-1", "-1"),
        ("count", "1.5", "1.5"),
        ("count", "many", '"many"'),
        ("count", "inf", "inf"),
        ("count", "nan", "nan"),
        ("count", "1e5000", '"1e5000"'),
        ("count", "", '""'),
        ("count", "1e-3", "1e-3"),
        ("count", "true", "true"),
        ("rate", "0", "0"),
        ("rate", "1e400", "1e400"),
        ("rate", "nan", "nan"),
        ("rate", "one", '"one"'),
        ("rate", "true", "true"),
        ("rate", "9" * 400, "9" * 400),
        ("share", "1", "1"),
        ("rates", ".5,2", "[0.5, 2]"),
        ("rates", ",", "[]"),
        ("rates", ".5,,1", '["0.5"]'),
        ("rates", ".5,x", "[true]"),
        ("rates", ".5;1", "[[0.5]]"),
        ("way", "FAR", '"FAR"'),
        ("way", "", '["far"]'),
        ("name", "", '""'),
        ("note", None, "3"),
        ("parts", None, '"a"'),
        ("parts", None, "[1]"),
        ("loud", None, '"true"'),
        ("loud", None, "1"),
    ],
)
def test_what_is_no_value_is_one_sentence(name, flag, toml, tmp_path):
    (tmp_path / "s.toml").write_text(f"{name} = {toml}\n")
    sentence = rf"^Argument `{name}` must (be|have) .*, but is .*\.$"
    with pytest.raises(ArgumentError, match=sentence):
        load_settings(Toy, tmp_path / "s.toml", {})
    if flag is not None:
        with pytest.raises(ArgumentError, match=sentence):
            load_settings(Toy, None, {name: flag})


def test_a_flag_goes_before_the_file_and_the_file_before_the_default(tmp_path):
    (tmp_path / "s.toml").write_text("count = 5\nrate = 0.25\n")
    made = load_settings(Toy, tmp_path / "s.toml", {"count": "7", "parts": ()})
    assert (made.count, made.rate, made.way) == (7, 0.25, "near")


@pytest.mark.parametrize("command", KINDS)
def test_every_setting_says_what_it_is_and_keeps_to_its_own_range(command):
    page = page_of_settings.page()
    part = page[page.index(f"## qdescent {command}") :]
    help_text = qdescent(command, "--help")[1].replace("- ", "-")
    for each in declared(KINDS[command]):
        assert re.fullmatch(r"\S.*[.)]", each.help), each.name
        assert each.flag in help_text or each.name.upper() in help_text
        assert f"| `{each.name.upper() if each.positional else each.flag}` |" in part
        if not each.required:
            assert each.check(each.default) == each.default
            assert each.default_text or each.default in ((), "")
    assert len({each.name for each in declared(KINDS[command])}) == part.split("\n## ")[0].count(
        "\n| `"
    )


@pytest.mark.parametrize(
    ("kind", "given", "steps"),
    [
        (Settings, {}, "lanczos_steps"),
        (SpectrumSettings, {"network": "a:b", "data": "c.npz"}, "steps"),
        (ReproduceSettings, {}, "lanczos_steps"),
    ],
)
def test_the_limits_of_a_spectrum_are_known_before_the_training(kind, given, steps):
    for name, most in ((steps, MOST_STEPS), ("probes", MOST_PROBES)):
        assert getattr(kind(**given, **{name: most}), name) == most
        with pytest.raises(ArgumentError, match=f"`{name}` must be in"):
            kind(**given, **{name: most + 1})


def test_a_shell_completes_subcommands_flags_and_choices():
    def completed(words: str) -> set[str]:
        said = qdescent(
            _QDESCENT_COMPLETE="bash_complete",
            COMP_WORDS=words,
            COMP_CWORD=str(len(words.split(" ")) - 1),
        )[1]
        return {word.partition(",")[2] for word in said.split()}

    assert completed("qdescent s") == {"spectrum"}
    assert completed("qdescent run --dens") == {"--density"}
    assert completed("qdescent circuit --loader buck") == {"bucket-brigade"}
    assert "complete" in qdescent(_QDESCENT_COMPLETE="bash_source")[1]
