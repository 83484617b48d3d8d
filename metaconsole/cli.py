"""The metaconsole's commands. They import late, so that each process holds only what it needs.

The promise: what goes wrong is one sentence on stderr and exit status 1; a secret is alone on stdout.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from metaconsole.cli_ca import ca
from metaconsole.cli_options import database_url as _url
from metaconsole.cli_options import home_option as _home
from metaconsole.cli_options import sentences as _sentences
from metaconsole.cli_storage import db
from metaconsole.home import Home, HomeError
from metaconsole.process import log_to_stderr, run_until_signal
from metaconsole.settings import Settings
from shared import lifeline as lifelines

_F = TypeVar("_F", bound=Callable[..., Any])

_lifeline = click.option("--lifeline", type=int, hidden=True, help="End when this pipe ends.")
_PORT = click.IntRange(1, 65535)


def _http(command: _F) -> _F:
    command = click.option("--http-host", default="127.0.0.1", show_default=True, help="Address of the web.")(command)
    return click.option("--http-port", type=_PORT, default=8080, show_default=True, help="Port of the web.")(command)


def _grpc(command: _F) -> _F:
    command = click.option("--grpc-host", default="127.0.0.1", show_default=True, help="Address of the gateway.")(
        command
    )
    return click.option("--grpc-port", type=_PORT, default=7443, show_default=True, help="Port of the gateway.")(
        command
    )


def _say(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()


@click.command()
@_home
@_http
@_grpc
@click.option("--enrol-port", type=_PORT, default=7444, show_default=True, help="Port where satellites join.")
@click.option("--gateways", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes of the gateway.")
@click.option("--site", help="The site of the satellite on this machine, at the first start; default home.")
def up(
    home: Path,
    site: str | None,
    gateways: int,
    http_host: str,
    http_port: int,
    grpc_host: str,
    grpc_port: int,
    enrol_port: int,
) -> None:
    """Run everything on this machine: database, metaconsole and a satellite that watches it."""
    from metaconsole import supervisor

    options = supervisor.Options(site, http_host, http_port, grpc_host, grpc_port, enrol_port, gateways)
    try:
        supervisor.up(Home(home.absolute()), options, _say)
    except supervisor.UpError as error:
        raise click.ClickException(str(error)) from error


@click.command()
@_home
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge(home: Path, yes: bool) -> None:
    """Remove a home with its database and all its history, the folder outside it included."""
    target = Home(home.absolute())
    outside = target.outside()
    if not yes:
        also = f" and {outside}" if outside else ""
        click.confirm(f"Remove {target.path}{also} with all history?", abort=True, err=True)
    with _sentences():
        target.purge()


@click.group()
def metaconsole() -> None:
    """Run a part of the metaconsole by itself."""


metaconsole.add_command(db)
metaconsole.add_command(ca)


@metaconsole.command()
@_home
@_grpc
@click.option(
    "--enrol-port", type=click.IntRange(0, 65535), default=7444, show_default=True,
    help="Port where satellites join; 0 for none here.",
)  # fmt: skip
@click.option("--share-port", is_flag=True, help="Let several gateways listen on the ports; each of them needs this.")
@_lifeline
def gateway(
    home: Path, grpc_host: str, grpc_port: int, enrol_port: int, share_port: bool, lifeline: int | None
) -> None:
    """Take what satellites send."""
    listen = {"grpc_host": grpc_host, "grpc_port": grpc_port, "enrol_port": enrol_port or None}
    settings = _settings(home, lifeline, grpc_shared=share_port, **listen)
    from metaconsole.gateway.server import GatewayError, serve
    from metaconsole.store.database import NotDurableError

    try:
        run_until_signal(serve, settings)
    except (GatewayError, NotDurableError) as error:
        raise click.ClickException(str(error)) from error


@metaconsole.command()
@_home
@_lifeline
def readers(home: Path, lifeline: int | None) -> None:
    """Read the log: the live view and what else follows it."""
    settings = _settings(home, lifeline)
    from metaconsole.readers.run import serve

    run_until_signal(serve, settings)


@metaconsole.command()
@_home
@_lifeline
def compactor(home: Path, lifeline: int | None) -> None:
    """Rewrite the log into chunks and rollups."""
    settings = _settings(home, lifeline)
    from metaconsole.readers.run import serve_compaction

    run_until_signal(serve_compaction, settings)


@metaconsole.command()
@_home
@_http
@_lifeline
def web(home: Path, http_host: str, http_port: int, lifeline: int | None) -> None:
    """Serve the dashboard and the API."""
    joins_at = Home(home.absolute()).enrolment_address()
    settings = _settings(home, None, http_host=http_host, http_port=http_port, enrol_address=joins_at)
    from metaconsole.web.server import ListenError, run

    try:
        run(settings, lifeline)
    except ListenError as error:
        raise click.ClickException(str(error)) from error


@metaconsole.command(hidden=True)
@_home
@click.option("--lifeline", type=int, required=True)
def keep_postgresql(home: Path, lifeline: int) -> None:
    """Keep the embedded PostgreSQL."""
    from metaconsole.keeper import keep

    sys.exit(keep(Home(home.absolute()), lifeline))


@metaconsole.command()
@_home
def migrate(home: Path) -> None:
    """Bring the database's schema up to this program's."""
    from metaconsole.store.database import connect
    from metaconsole.store.migrate import MigrationError
    from metaconsole.store.migrate import migrate as apply

    with _sentences(), connect(_url(home), statement_timeout=0) as connection:
        try:
            applied = apply(connection)
        except MigrationError as error:
            raise click.ClickException(str(error)) from error
    click.echo(f"applied: {', '.join(map(str, applied)) or 'nothing, the schema is up to date'}", err=True)


@metaconsole.command()
@_home
@click.option("--site", required=True, help="The site, made when it is missing.")
@click.option("--name", required=True, help="The satellite's name, unique in the site.")
@click.option("--uplink", required=True, metavar="HOST:PORT", help="Where that satellite reaches the gateway.")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The folder to write.")
def issue_satellite(home: Path, site: str, name: str, uplink: str, out: Path) -> None:
    """Write the folder with which a satellite elsewhere starts: settings, certificate, key and trust."""
    from metaconsole.issue import issue

    with _sentences():
        issue(Home(home.absolute()), _url(home), site, name, uplink, out)
    click.echo(
        f"{out} is ready: take it there privately, and run nephoscope satellite run --config …/satellite.toml", err=True
    )


@click.group()
def token() -> None:
    """Tokens of the API."""


@token.command("create")
@_home
@click.option("--name", required=True, help="What the token is for, unique.")
@click.option("--scope", required=True, type=click.Choice(["read", "write", "admin"]))
def create_token(home: Path, name: str, scope: str) -> None:
    """Print a new token, which is not kept anywhere."""
    from metaconsole.auth import accounts

    with _sentences():
        click.echo(accounts.create_token(_url(home), name, scope))


@click.group()
def user() -> None:
    """People who sign in."""


@user.command("create")
@_home
@click.argument("name")
@click.option("--role", required=True, help="viewer, operator, admin or auditor.")
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin; without, only a link signs in.")
def create_user(home: Path, name: str, role: str, password_stdin: bool) -> None:
    """Create an account on all sites."""
    from metaconsole.auth import accounts

    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
    with _sentences():
        accounts.create_account(_url(home), name, password, role)
    click.echo(f"account {name} is made, role {role}", err=True)


@user.command()
@_home
@click.argument("name")
@click.option("--minutes", type=click.IntRange(1, 1440), default=10, show_default=True)
def sign_in_link(home: Path, name: str, minutes: int) -> None:
    """Print a link that signs the account in once."""
    from metaconsole.auth import accounts

    with _sentences():
        running = Home(home.absolute()).running()
        secret = accounts.create_sign_in_link(running.database_url, name, minutes)
        click.echo(f"{running.http_url}/sign-in/link/{secret}")


@click.group()
def site() -> None:
    """Sites."""


@site.command("add")
@_home
@click.argument("name")
@click.option("--title", default="", help="What people call it; default its name.")
def add_site(home: Path, name: str, title: str) -> None:
    """Make a site."""
    from metaconsole.store.pool import connect
    from metaconsole.store.sites import ensure_site

    with _sentences(), connect(_url(home)) as connection:
        ensure_site(connection, name, title)


@site.command("backfill")
@_home
@click.argument("name")
@click.option("--kbit", type=int, required=True, help="kbit/s at most; 0: as fast as the line carries.")
@click.option("--hours", default="", help="Only then, in UTC, as 22:00-06:00; default all day.")
def set_backfill(home: Path, name: str, kbit: int, hours: str) -> None:
    """Set how fast and when a site sends what it could not send before. What is collected now has no budget."""
    from metaconsole.store.budgets import Budget
    from metaconsole.store.pool import connect
    from metaconsole.store.site_settings import UnknownSiteError, parse_hours, set_budget

    with _sentences(), connect(_url(home)) as connection:
        try:
            set_budget(connection, name, Budget(kbit, *parse_hours(hours)), "command line")
        except UnknownSiteError as error:
            raise click.ClickException(f"{error}; nephoscope site list names them") from error


@site.command("series")
@_home
@click.argument("name")
@click.option("--quota", type=int, help="How many series it may have from now on; default: as before.")
@click.option("--resources", type=int, help="How many resources; default: as before.")
def series_quota(home: Path, name: str, quota: int | None, resources: int | None) -> None:
    """Print how many series and resources a site has and may have, or set the latter.

    What is beyond it is refused and counted.
    """
    from metaconsole.store.pool import connect
    from metaconsole.store.site_settings import UnknownSiteError, find_rooms, set_quotas

    with _sentences(), connect(_url(home)) as connection:
        try:
            if (quota, resources) != (None, None):
                set_quotas(connection, name, "command line", series=quota, resources=resources)
            rooms = find_rooms(connection, name)
        except UnknownSiteError as error:
            raise click.ClickException(f"{error}; nephoscope site list names them") from error
    for thing, room in (("series", rooms.series), ("resources", rooms.resources)):
        click.echo(f"{room.used} of {room.quota} {thing}")


@site.command("list")
@_home
def list_sites(home: Path) -> None:
    """Print the sites' names and titles."""
    from metaconsole.store import sites
    from metaconsole.store.pool import connect

    with _sentences(), connect(_url(home)) as connection:
        found = sites.list_sites(connection)
    for entry in found:
        click.echo(f"{entry.name}\t{entry.title}")


def _settings(home: Path, lifeline: int | None, **listen: Any) -> Settings:
    """Watch the lifeline, and read from the home what a process needs."""
    if lifeline is not None:
        lifelines.watch(lifeline)
    log_to_stderr()
    place = Home(home.absolute())
    try:
        return Settings(database_url=place.database_url(), run=place.run, pki=place.pki, **listen)
    except HomeError as error:
        raise click.ClickException(str(error)) from error
