"""`nephoscope metaconsole db`: where the bytes are, how long what is kept, more servers, a database that went back."""

import json
from pathlib import Path

import click

from metaconsole.cli_options import database_url, home_option, sentences
from metaconsole.store.retention_rules import TIERS


@click.group()
def db() -> None:
    """Look after the database."""


@db.command()
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stats(home: Path, as_json: bool) -> None:
    """Account for every byte, by tier, site and table.

    Every row is read once, for the shares of the sites; that takes minutes on a large database, and holds nobody up.
    """
    from metaconsole import storage_report
    from metaconsole.store.database import connect
    from metaconsole.store.stats import account
    from metaconsole.store.stats_forecast import forecast

    with sentences(), connect(database_url(home), statement_timeout=0, application="nephoscope db stats") as connection:
        connection.autocommit = True
        told = storage_report.account(account(connection), forecast(connection))
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    for line in storage_report.lines(told):
        click.echo(line)


@db.group()
def retention() -> None:
    """Show and set how long what is kept."""


@retention.command("show")
@home_option
def show_retention(home: Path) -> None:
    """Print the rules: tier, site, metrics and days. Of those that fit the narrowest decides, the site first."""
    from metaconsole.store.pool import connect
    from metaconsole.store.retention_settings import settings

    with sentences(), connect(database_url(home)) as connection:
        found = settings(connection)
    for rule in found:
        click.echo(f"{rule.tier}\t{rule.site or '*'}\t{rule.metrics or '*'}\t{rule.days}")


@retention.command("set")
@home_option
@click.argument("tier", type=click.Choice(TIERS))
@click.option("--site", help="For this site only.")
@click.option(
    "--metrics", help="For gauge, counter or state only, or for the metric of this name; raw and rollup only."
)
@click.option("--days", type=int, help="How long it is kept.")
@click.option("--inherit", is_flag=True, help="Forget this rule: the wider one decides again.")
def set_retention(
    home: Path, tier: str, site: str | None, metrics: str | None, days: int | None, inherit: bool
) -> None:
    """Set how many days something is kept; what is older goes within the day, for ever."""
    from metaconsole.store.pool import connect
    from metaconsole.store.retention_settings import change

    if inherit == (days is not None):
        raise click.UsageError("say either --days or --inherit")
    with sentences(), connect(database_url(home)) as connection:
        change(connection, "command line", tier, site, metrics, days)


@db.command()
@home_option
def distribute(home: Path) -> None:
    """Spread the tables over the workers of a Citus cluster, by site. What is spread already stays."""
    from metaconsole.store.database import connect
    from metaconsole.store.distribute import distribute as spread

    with sentences(), connect(database_url(home), statement_timeout=0) as connection:
        spread_now = spread(connection)
    click.echo(f"distributed: {', '.join(spread_now) or 'nothing, all tables are already'}", err=True)


@db.command()
@home_option
def restored(home: Path) -> None:
    """Say that the database went back: it was restored from a backup, or a standby took over.

    Run it before anything connects again. Each satellite then offers again all frames that it still holds.
    """
    from metaconsole.store.deployment import begin_life
    from metaconsole.store.pool import connect

    with sentences(), connect(database_url(home)) as connection:
        incarnation = begin_life(connection)
    click.echo(f"this is life {incarnation} of the database: every satellite offers again what it still has", err=True)
