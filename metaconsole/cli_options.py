"""What the metaconsole's commands have in common: the home, the database, and how failures are told."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import click

from metaconsole.home import ENVIRONMENT, Home, HomeError, default_home
from metaconsole.postgres_place import PostgresError

if find_spec("psycopg") is None:  # importing it here would be too early for the web, whose workers are patched first
    raise ModuleNotFoundError("the metaconsole's packages are not installed", name="psycopg")

home_option: Final = click.option(
    "--home", envvar=ENVIRONMENT, type=click.Path(file_okay=False, path_type=Path), default=default_home,
    help="The folder of everything; default $NEPHOSCOPE_HOME or ~/.local/share/nephoscope.",
)  # fmt: skip


@contextmanager
def sentences() -> Iterator[None]:
    """Turn what can go wrong outside the program into a sentence."""
    from psycopg import OperationalError

    from metaconsole.auth.accounts import AccountError
    from metaconsole.store.pool import StoreUnavailableError

    try:
        yield
    except (AccountError, HomeError, OperationalError, PostgresError, StoreUnavailableError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def database_url(home: Path) -> str:
    """Return where the database of a home is; raises HomeError."""
    return Home(home.absolute()).database_url()
