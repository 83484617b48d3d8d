"""`nephoscope satellite reconcile`: what a site's satellites produced, and what became of all of it."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from metaconsole.cli_options import database_url, home_option, sentences

_INSTANT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


@click.command()
@home_option
@click.argument("site")
@click.option("--satellite", help="Only this one.")
@click.option("--from", "begin", type=_INSTANT, help="What was spooled from then on, UTC; default all that was told.")
@click.option("--to", "end", type=_INSTANT, help="What was spooled before then, UTC.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def reconcile(
    home: Path, site: str, satellite: str | None, begin: datetime | None, end: datetime | None, as_json: bool
) -> None:
    """Print what satellites produced, what is stored, missing and why, and stored twice.

    Exit status 0 when everything is accounted for, else 1. Blocks of 4096 frames are told of as a whole.
    """
    from metaconsole import account_report
    from metaconsole.store.pool import Database
    from metaconsole.store.reconciled import read_account, read_differences, satellites

    span = (_ms(begin), _ms(end))
    with sentences():
        database = Database(database_url(home), size=1, patience=10, application="nephoscope command")
        try:
            with database.read() as connection:
                found = [
                    account_report.told(of, read_account(connection, of, *span), read_differences(connection, of))
                    for of in satellites(connection, site, satellite)
                ]
        finally:
            database.close()
    if as_json:
        click.echo(json.dumps({"site": site, "satellites": found}, indent=2))
    else:
        for one in found:
            for line in account_report.lines(site, one):
                click.echo(line)
    sys.exit(0 if all(one["accounted"] for one in found) else 1)


def _ms(instant: datetime | None) -> int | None:
    return round(instant.replace(tzinfo=UTC).timestamp() * 1000) if instant else None
