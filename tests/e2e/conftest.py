"""What the browser tests share: an account with a password, and a reader who is signed in."""

from collections.abc import Callable

import pytest
from fixtures.browser import Watched
from fixtures.up import RunningUp
from playwright.sync_api import Page

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="session")
def account(running_up: RunningUp) -> tuple[str, str]:
    """Make an account that may read everything."""
    running_up.nephoscope("user", "create", "noc", "--password-stdin", "--role", "viewer", stdin=PASSWORD)
    return "noc", PASSWORD


@pytest.fixture
def signed_in(running_up: RunningUp, watched: Callable[..., Watched]) -> Callable[..., Page]:
    """Open watched pages that are signed in by a link; takes the options of a browser context."""

    def enter(**options: object) -> Page:
        page = watched(running_up.url, **options).page()
        page.goto(running_up.sign_in_link())
        return page

    return enter
