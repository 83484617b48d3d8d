"""The command `nephoscope`: finds its subcommands by the entry-point group `nephoscope.commands` and loads them late.

A subcommand whose extra is not installed is still listed; calling it is a sentence that says what to install.
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Final

import click

from shared import __version__

GROUP: Final = "nephoscope.commands"
_OURS: Final = frozenset({"shared", "satellite", "metaconsole"})


class _Commands(click.Group):
    """A group whose commands are entry points; a module is imported when its command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({point.name for point in entry_points(group=GROUP)} | set(super().list_commands(ctx)))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for point in entry_points(group=GROUP, name=cmd_name):
            return load_command(point)
        return super().get_command(ctx, cmd_name)


def load_command(point: EntryPoint) -> click.Command:
    """Return the command of an entry point, or one that says which extra it needs."""
    try:
        command = point.load()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in _OURS:
            raise
        return _missing(point, error.name or "")
    if not isinstance(command, click.Command):
        raise TypeError(f"the entry point {point.name} of {GROUP} names {point.value}, which is not a click command")
    return command


def _missing(point: EntryPoint, module: str) -> click.Command:
    extra = point.module.partition(".")[0]
    sentence = f"nephoscope {point.name} needs the {extra}'s packages: pip install 'nephoscope[{extra}]'"

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


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nephoscope", message="%(prog)s %(version)s")
def main() -> None:
    """Nephoscope, a multi-site monitor of virtual environments."""


if __name__ == "__main__":
    main()
