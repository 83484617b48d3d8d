"""`nephoscope satellite token` and `revoke`: what the metaconsole adds to the group of the satellite's commands."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from metaconsole.cli_options import database_url, home_option, sentences
from metaconsole.home import Home


@click.command()
@home_option
@click.argument("site")
@click.option("--name", help="What the new satellite is called; default SITE-1, SITE-2 and so on.")
@click.option(
    "--satellite", help="Take the identity of this satellite back, on whichever machine joins with the token."
)
@click.option("--hours", type=float, default=1.0, show_default=True, help="How long the token is good for.")
@click.option("--address", metavar="HOST:PORT", help="How the site reaches the enrolment port; default as up listens.")
@click.option("--uplink", "uplinks", multiple=True, metavar="HOST:PORT", help="How it reaches a gateway; in order.")
def token(
    home: Path,
    site: str,
    name: str | None,
    satellite: str | None,
    hours: float,
    address: str | None,
    uplinks: tuple[str, ...],
) -> None:
    """Print the command to run at the site, and below it the token that it asks for; the token works once."""
    from metaconsole import tokens
    from metaconsole.store.audit import COMMAND
    from metaconsole.store.pool import connect

    place = Home(home.absolute())
    with sentences():
        where = address or place.enrolment_address()
        with connect(database_url(home)) as connection:
            made = tokens.make(
                connection, place.pki, COMMAND, site,
                address=where, name=name, satellite=satellite, hours=hours, uplinks=uplinks,
            )  # fmt: skip
    click.echo(made.command)
    click.echo(made.token)
    until = datetime.fromtimestamp(made.expires / 1000, UTC)
    click.echo(
        f"for satellite {made.name} of site {site}, at {where}, once, until {until:%Y-%m-%d %H:%M} UTC", err=True
    )
    if address is None and where.startswith(("127.", "[::1]", "localhost")):
        click.echo(
            "up listens on this machine alone: start it with --grpc-host 0.0.0.0 for other machines, or name with "
            "--address how the site gets here",
            err=True,
        )
    sys.stdout.flush()


@click.command()
@home_option
@click.argument("site")
@click.argument("name")
def revoke(home: Path, site: str, name: str) -> None:
    """Take nothing from a satellite any more; its session ends within seconds."""
    from metaconsole.store.audit import COMMAND
    from metaconsole.store.enrolment import revoke as take_away
    from metaconsole.store.pool import connect

    with sentences(), connect(database_url(home)) as connection:
        take_away(connection, COMMAND, site, name)
    click.echo(
        f"satellite {name} of site {site} is revoked; nephoscope satellite token {site} --satellite {name} undoes it",
        err=True,
    )
