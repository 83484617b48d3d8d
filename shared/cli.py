"""The command `nephoscope`: finds its subcommands by the entry-point group `nephoscope.commands` and loads them late.

A subcommand whose extra is not installed is still listed; calling it is a sentence that says what to install.
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

import click

from shared import __version__

GROUP: Final = "nephoscope.commands"
_OURS: Final = frozenset({"shared", "satellite", "metaconsole"})


class Commands(click.Group):
    """A group whose commands are entry points of its own, beside those it has; imported when used."""

    def __init__(self, *arguments: Any, entry_points: str, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._group = entry_points

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all, ours and those of the entry points."""
        return sorted({point.name for point in entry_points(group=self._group)} | set(super().list_commands(ctx)))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, loaded now, or one that says what it lacks; None where there is none."""
        for point in entry_points(group=self._group, name=cmd_name):
            return load_command(point, ctx.command_path)
        return super().get_command(ctx, cmd_name)


def load_command(point: EntryPoint, path: str = "nephoscope") -> click.Command:
    """Return the command of an entry point, or one that says which extra it needs; path is what stands before it."""
    try:
        command = point.load()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in _OURS:
            raise
        return _missing(point, path, error.name or "")
    if not isinstance(command, click.Command):
        raise TypeError(
            f"the entry point {point.name} of {point.group} names {point.value}, which is not a click command"
        )
    return command


def _missing(point: EntryPoint, path: str, module: str) -> click.Command:
    extra = point.module.partition(".")[0]
    sentence = f"{path} {point.name} needs the {extra}'s packages: pip install 'nephoscope[{extra}]'"

    @click.command(
        point.name,
        short_help=f"(not installed: pip install 'nephoscope[{extra}]')",
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def say() -> None:
        click.echo(f"{sentence}  (no module named {module})", err=True)
        raise SystemExit(2)

    return say


@click.command(cls=Commands, entry_points=GROUP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nephoscope", message="%(prog)s %(version)s")
def main() -> None:
    """Nephoscope, a multi-site monitor of virtual environments."""


if __name__ == "__main__":
    main()
