"""Subcommands made from classes of settings: flags, help and completion.

Texts are taken as they stand; what they stand for is for a setting to say, in one wording for flags
and files.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from qdescent.experiment.setting import (
    PATH,
    Setting,
    declared,
    given_settings,
    load_settings,
)


@click.group(
    no_args_is_help=True,
    context_settings={"max_content_width": 100},
    epilog='Completion in bash: eval "$(_QDESCENT_COMPLETE=bash_source qdescent)"; zsh and fish'
    " likewise.",
)
@click.version_option(package_name="qdescent")
def app() -> None:
    """Quantum gradient descent for sparse, dissipative networks: is yours one, what would the
    quantum computer answer, and what would it cost?
    """


@dataclass(frozen=True)
class Asked:
    """What was asked for besides settings.

    Args:
        given: settings by name, as of `given_settings`; not checked yet.
        config: the TOML file, or None.
        out: the directory of the results, or None.
        resume: go on with an unfinished job.
        as_json: print JSON instead of a table.
    """

    flags: dict[str, Any]
    config: Path | None
    out: Path | None
    resume: bool
    as_json: bool

    def settings(self, kind: type) -> Any:
        """Those of a new job, checked."""
        return load_settings(kind, self.config, self.flags)

    def given(self, kind: type) -> dict[str, Any]:
        """Those that were given, for an unfinished job to be compared with."""
        return given_settings(kind, self.config, self.flags)


class Value(click.ParamType):
    """A text, checked with the setting that it is given for; here it is only completed."""

    name = "text"

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The words to choose from, or files."""
        allowed = self.setting.allowed
        if isinstance(allowed, tuple):
            return [CompletionItem(word) for word in allowed if word.startswith(incomplete)]
        return [CompletionItem(incomplete, type="file")] if allowed == PATH else []


def command(kind: type, place: Path, resumable: bool) -> Callable[[Callable[[Asked], None]], Any]:
    """Make a job a subcommand, with the settings that a class declares and the flags that every
    subcommand has.

    Args:
        kind: the class of its settings.
        place: where its results go if the user does not say.
        resumable: whether an unfinished one can be gone on with.
    """

    def made(job: Callable[[Asked], None]) -> click.Command:
        def call(config: Path | None, out: Path | None, json: bool, **rest: Any) -> None:
            resume = rest.pop("resume", False)
            job(Asked(rest, config, out, resume, json))

        settings = list(declared(kind))
        places = [f"{each.name.upper()}: {each.help}" for each in settings if each.positional]
        subcommand = click.Command(
            kind.command,  # type: ignore[attr-defined]
            callback=call,
            params=[*map(_parameter, settings), *_shared(place, resumable)],
            help="\n\n".join([inspect.cleandoc(job.__doc__ or ""), *places]),
        )
        app.add_command(subcommand)
        return subcommand

    return made


def _parameter(setting: Setting) -> click.Parameter:
    """The flag, or the place, of a setting. Texts are taken as they stand: what they stand for is
    for the setting to say, in one wording for flags and files.
    """
    value = Value(setting)
    if setting.positional:
        return click.Argument(
            [setting.name],
            required=False,
            type=value,
            metavar=setting.name.upper() if setting.required else f"[{setting.name.upper()}]",
        )
    default = f"default: {setting.default_text}" if setting.default_text else ""
    remarks = "; ".join(each for each in (setting.range, default) if each)
    text = f"{setting.help}  [{remarks}]" if remarks else setting.help
    if setting.kind == "bool":
        return click.Option([f"{setting.flag}/--no-{setting.flag[2:]}"], default=None, help=text)
    return click.Option(
        [setting.flag, setting.name],
        type=value,
        multiple=setting.kind.startswith("tuple"),
        metavar=setting.noun.upper(),
        help=text,
    )


def _shared(place: Path, resumable: bool) -> list[click.Parameter]:
    """The flags that are no settings."""
    path = click.Path(path_type=Path)
    made = {
        "--config": "TOML file of settings (key = value); flags override it.",
        "--out": f"Directory of the results; must not exist.  [default: the next {place}/run-NNN]",
    }
    flags = {"--json": "Print the headline as JSON; bars go to standard error as ever."}
    if resumable:
        flags["--resume"] = f"Go on with an unfinished one: in --out, or the latest in {place}/."
    return [
        *(
            click.Option([name], type=path, metavar="PATH", help=text)
            for name, text in made.items()
        ),
        *(click.Option([name], is_flag=True, help=text) for name, text in flags.items()),
    ]
