"""`nephoscope metaconsole ca`: the certificate authority, and another one after it."""

from datetime import UTC, datetime
from pathlib import Path

import click

from metaconsole.cli_options import database_url, home_option, sentences
from metaconsole.home import Home

_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def ca() -> None:
    """Look after the certificate authority; docs/operate.md has the steps of a change."""


@ca.command()
@home_option
def status(home: Path) -> None:
    """Print the authorities, and during a change who is not ready for it."""
    from metaconsole import authority_change
    from metaconsole.store.pool import connect

    with sentences(), connect(database_url(home)) as connection:
        told = authority_change.status(connection, Home(home.absolute()).pki, datetime.now(UTC))
    for line in told:
        click.echo(line)


@ca.command()
@home_option
def rotate(home: Path) -> None:
    """Begin a change: a new authority beside the present one. Satellites fetch it by themselves."""
    _begin(home, None)


@ca.command("import")
@home_option
@click.option("--certificate", required=True, type=_file, help="The authority's certificate, PEM.")
@click.option("--key", required=True, type=_file, help="Its private key, PEM, without a password.")
def import_authority(home: Path, certificate: Path, key: Path) -> None:
    """Begin a change to an authority of your own company."""
    _begin(home, (certificate, key))


@ca.command()
@home_option
@click.option("--certificate", type=_file, help="The gateways' certificate and all between it and the authority, PEM.")
@click.option("--key", type=_file, help="Its private key, PEM, without a password.")
@click.option("--authority", type=_file, help="Whom satellites are to trust for it, PEM; default as before.")
@click.option("--name", help="Its DNS name for which satellites look; default as before, or its first one.")
@click.option("--remove", is_flag=True, help="Show the metaconsole's own alone.")
def company(
    home: Path, certificate: Path | None, key: Path | None, authority: Path | None, name: str | None, remove: bool
) -> None:
    """Show a certificate of your own company at the gateways; again when it was renewed. Nothing is restarted."""
    from metaconsole import authority_change
    from metaconsole.store.audit import COMMAND
    from metaconsole.store.pool import connect

    if remove == bool(certificate and key):
        raise click.UsageError("name --certificate and --key, or --remove")
    pki, now = Home(home.absolute()).pki, datetime.now(UTC)
    with sentences(), connect(database_url(home)) as connection:
        if not (certificate and key):
            authority_change.drop(connection, pki, COMMAND)
            click.echo("gateways show the metaconsole's own from the next connection on", err=True)
            return
        taken = authority_change.take(connection, pki, now, COMMAND, (certificate, key, authority), name)
    click.echo(
        f"gateways show it from the next connection on; satellites that join from now on look for {taken.name}, those "
        f'that joined before do with server_name = "{taken.name}" in satellite.toml once ca status names them no more',
        err=True,
    )
    if soon := taken.ends_soon(now):
        click.echo(soon, err=True)


@ca.command()
@home_option
@click.option("--force", is_flag=True, help="Also shut out who is not ready; they need a new token.")
def finish(home: Path, force: bool) -> None:
    """End a change: the gateways get a certificate of the new authority, and the old one is trusted no more."""
    from metaconsole import authority_change
    from metaconsole.store.audit import COMMAND
    from metaconsole.store.pool import connect

    with sentences(), connect(database_url(home)) as connection:
        authority_change.finish(connection, Home(home.absolute()).pki, datetime.now(UTC), COMMAND, force=force)
    click.echo("the new authority is the only one; gateways use it from the next connection on", err=True)


def _begin(home: Path, imported: tuple[Path, Path] | None) -> None:
    from metaconsole import authority_change
    from metaconsole.store.audit import COMMAND
    from metaconsole.store.pool import connect

    with sentences(), connect(database_url(home)) as connection:
        authority_change.begin(connection, Home(home.absolute()).pki, datetime.now(UTC), COMMAND, imported)
    click.echo(
        "the change has begun: satellites that are connected are ready within a minute, others when they connect;"
        " nephoscope metaconsole ca status shows who is not, and ca finish ends the change",
        err=True,
    )
