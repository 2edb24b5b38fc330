"""A setting, declared once: its flag, its key in a TOML file, its check, its help text and its line
in the documentation are made from the line that declares it.

    rounds: int = setting(5, "[1, inf)", "R, number of uploads.", unit="uploads")

It needs no torch: a help text or an argument error waits for none.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field, fields
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

from qdescent._checks import (
    ArgumentError,
    argument_error,
    check_boolean,
    check_choice,
    check_integer,
    check_interval,
    check_numbers,
    check_sequence,
    check_text,
    shown,
)
from qdescent.reading.documents import read_toml

# what a setting may be that is neither a number nor one of few words
TEXT, PATH, SWITCH = "text", "path", "on or off"
SEVERAL = "float | tuple[float, ...]"  # a kind
MOST_DIGITS = 4300  # as Python's own limit on integers in texts
T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """One setting as it was declared.

    Args:
        name: of the field, and of the TOML key; the flag has "-" for "_".
        kind: the type, as the field's annotation has it: "float", "int", "str", "bool", or
            "tuple[str, ...]"; " | None" where it may be left open; "float | tuple[float, ...]" is
            a number, or several with commas between them (in TOML a list).
        default: its value where none is given; `MISSING` where one must be.
        allowed: "(0, 1]", an interval; the words to choose from; or `TEXT`, `PATH`, `SWITCH`.
        help: one or two sentences for whoever asks for `--help`.
        unit: what is counted, in one word or two.
        why: the reason for the default, and what the documentation tells besides.
        left_open: what holds where it is not given, for a default of "" or None.
        positional: given without a flag.
    """

    name: str
    kind: str
    default: Any
    allowed: str | tuple[str, ...]
    help: str
    unit: str = ""
    why: str = ""
    left_open: str = ""
    positional: bool = False

    @property
    def flag(self) -> str:
        """`--learning-rate` of learning_rate."""
        return "--" + self.key.replace("_", "-")

    @property
    def key(self) -> str:
        """The name in a file: `from` of from_, which Python keeps for itself."""
        return self.name.rstrip("_")

    @property
    def optional(self) -> bool:
        """Whether None is a value of it."""
        return self.kind.endswith(" | None")

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is MISSING

    @property
    def noun(self) -> str:
        """What is given, in a word: its unit, or its kind."""
        kinds = {"float": "number", "int": "integer"}
        kind = "word" if isinstance(self.allowed, tuple) else self.allowed
        return self.unit or kinds.get(self.kind.partition(" ")[0], kind)

    @property
    def range(self) -> str:
        """What it may be, in words: "above 0", "1 to 6", "one of qrom, qroam"; empty for texts."""
        if isinstance(self.allowed, tuple):
            return "one of " + ", ".join(self.allowed)
        if self.allowed in (TEXT, PATH, SWITCH):
            return ""
        low, high = (end.strip() for end in self.allowed[1:-1].split(","))
        if high == "inf":
            above = f"{'at least' if self.allowed[0] == '[' else 'above'} {low}"
            return f"{above}, or several: a,b,c" if self.kind == SEVERAL else above
        return f"{low} to {high}" if self.kind == "int" else f"in {self.allowed}"

    @property
    def default_text(self) -> str:
        """The default as it is shown; empty where a value must be given."""
        if self.required or self.default in ("", (), None):
            return self.left_open
        if isinstance(self.default, bool):
            return "on" if self.default else "off"
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default)

    def check(self, value: Any) -> Any:
        """The value in its own type.

        Raises:
            ArgumentError: it is not what was declared.
        """
        if value is None and self.optional:
            return None
        if isinstance(self.allowed, tuple):
            return check_choice(self.name, value, self.allowed)
        if self.kind == "bool":
            return check_boolean(self.name, value)
        if self.kind.startswith("tuple"):
            return check_sequence(self.name, value, str, called="a list of texts", empty=True)
        if self.kind == "str":
            return check_text(self.name, value, empty=self.default == "")
        if self.kind.startswith("int"):
            low, high = self.allowed[1:-1].split(",")
            value = check_integer(self.name, value, int(low))
            if float(high) < value:
                check_interval(self.name, value, self.allowed)
            return value
        if self.kind == SEVERAL and isinstance(value, (list, tuple)):
            return check_numbers(self.name, value, self.allowed, "a number, or several")
        return check_interval(self.name, value, self.allowed)

    def read(self, given: Any) -> Any:
        """What a flag or a TOML file gives as a value: `1e8` is an integer, `3` a float. What
        cannot be read stays as it is, for `check` to refuse.
        """
        if self.kind.startswith("int") and isinstance(given, (str, float)):
            return _integer(given)
        if self.kind == SEVERAL and isinstance(given, str) and "," in given:
            return tuple(map(_float, given.removesuffix(",").split(",")))
        return _float(given) if self.kind.startswith("float") else given


@contextmanager
def named_as_settings(settings: Any, other: str) -> Iterator[None]:
    """While it lasts, an error whose argument is no setting names the setting `other`: what a user
    gave in whose place a computation speaks of its own arguments.

    Example:
        >>> from types import SimpleNamespace
        >>> with named_as_settings(SimpleNamespace(steps=2, source="map.npz"), "source"):
        ...     raise argument_error("rhs", "fit `steps`", 1)
        Traceback (most recent call last):
            ...
        qdescent._checks.ArgumentError: Argument `source` must fit `steps`, but is 1.
    """
    try:
        yield
    except ArgumentError as problem:
        if not problem.argument or hasattr(settings, problem.argument):
            raise
        raise problem.called(**{problem.argument: other}) from None


def setting(
    default: Any,
    allowed: str | tuple[str, ...],
    help: str,
    *,
    unit: str = "",
    why: str = "",
    left_open: str = "",
    positional: bool = False,
) -> Any:
    """A field of a frozen dataclass that declares a setting; see `Setting` for the arguments. The
    class calls `check_settings` in its `__post_init__`.
    """
    declared = {
        "allowed": allowed,
        "help": help,
        "unit": unit,
        "why": why,
        "left_open": left_open,
        "positional": positional,
    }
    return field(default=default, metadata={"setting": declared})


def declared(kind: type) -> Iterator[Setting]:
    """The settings of a class, in the order in which they are declared."""
    for each in fields(kind):
        type_: Any = each.type  # a text, where annotations are not evaluated
        name = type_ if isinstance(type_, str) else inspect.formatannotation(type_)
        yield Setting(each.name, name, each.default, **each.metadata["setting"])


def check_settings(settings: Any) -> None:
    """Check every setting of an instance against its declaration, and keep it in its own type.

    Raises:
        ArgumentError: the first one that is not what was declared.
    """
    for each in declared(type(settings)):
        object.__setattr__(settings, each.name, each.check(getattr(settings, each.name)))


def given_settings(kind: type, config: Path | None, flags: Mapping[str, Any]) -> dict[str, Any]:
    """What the user gave: a TOML file, overridden by flags. Not checked yet.

    Args:
        kind: the class of settings.
        config: a TOML file of `key = value` lines, or None.
        flags: name -> value or text; None and () stand for a flag that was not given.

    Raises:
        ArgumentError: the file cannot be read or is not TOML, or it has a key that is not a setting
            (the nearest one is named).
    """
    values = read_toml("config", config) if config is not None else {}
    known = {each.name: each for each in declared(kind)}
    named = {each.key: each.name for each in known.values()}
    values = {named.get(key, key): value for key, value in values.items()}
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(key[:100].replace("-", "_"), named, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise argument_error(
                "config",
                f"hold only keys that are settings (see {_command(kind)} --help)",
                f"holding {shown(key)}{hint}",
            )
        if isinstance(value, str) and known[key].kind.startswith(("int", "float")):
            raise argument_error(known[key].key, "be a number without quotes in TOML", shown(value))
    values.update({name: value for name, value in flags.items() if value not in (None, ())})
    return {name: known[name].read(value) for name, value in values.items()}


def load_settings(kind: type[T], config: Path | None, flags: Mapping[str, Any]) -> T:
    """The settings of a new job: what the user gave, defaults for the rest.

    Args:
        kind, config, flags: as of `given_settings`.

    Raises:
        ArgumentError: as of `given_settings`; a setting without a default is missing; a bad value.
    """
    given = given_settings(kind, config, flags)
    for each in declared(kind):
        if each.required and each.name not in given:
            raise argument_error(each.name, f"be given (see {_command(kind)} --help)", "missing")
    return kind(**given)


def check_same(kept: Any, given: Mapping[str, Any], noun: str) -> None:
    """What is given to an unfinished job must be what it was begun with.

    Args:
        kept: its settings.
        given: as of `given_settings`.
        noun: what the job is called.

    Raises:
        ArgumentError: a setting differs.
    """
    for name, asked in given.items():
        had = getattr(kept, name)
        if (tuple(asked) if isinstance(asked, list) else asked) != had:
            raise argument_error(name, f"be {had!r}, as in the {noun} to be resumed", asked)


def _command(kind: type) -> str:
    return f"qdescent {kind.command}"  # type: ignore[attr-defined]


def _float(given: Any) -> Any:
    """The float that a text or an integer stands for; anything else as it is."""
    if isinstance(given, bool) or not isinstance(given, (str, int)):
        return given
    try:
        return float(given)
    except (ValueError, OverflowError):
        return given


def _integer(given: str | float) -> Any:
    """The integer that a text such as "1e8" or a float stands for, to the last digit."""
    try:
        number = Decimal(given if isinstance(given, str) else repr(given))
        if number.is_finite() and number.adjusted() < MOST_DIGITS and number == int(number):
            return int(number)
    except InvalidOperation:
        pass
    return given
