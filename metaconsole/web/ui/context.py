"""What every page shares: who reads it, the theme, the site and time pickers, and the texts that scripts write.

The one promise: site and time range travel in the address of every page, so that a copied link shows the same.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from flask import Flask, request, url_for

from metaconsole.store import overview
from metaconsole.web.security import maybe_principal
from metaconsole.web.services import services
from metaconsole.web.ui import bundle, states, words
from metaconsole.web.ui.language import N_, gettext

THEMES: Final = {"auto": N_("As the system"), "light": N_("Light"), "dark": N_("Dark")}
THEME_COOKIE: Final = "nephoscope_theme"
RANGES: Final = {
    "15m": N_("15 minutes"),
    "1h": N_("1 hour"),
    "6h": N_("6 hours"),
    "24h": N_("24 hours"),
}
_CARRIED: Final = {
    "site": re.compile(r"[a-z0-9][a-z0-9-]{0,62}"),
    "range": re.compile(r"\d{1,4}[mhd]"),
    "from": re.compile(r"\d{1,15}"),
    "to": re.compile(r"\d{1,15}"),
}


def carried() -> dict[str, str]:
    """Return the part of the address that goes along to other pages: site and time range, checked."""
    given = {name: request.args.get(name, "") for name in _CARRIED}
    return {name: given[name] for name, form in _CARRIED.items() if form.fullmatch(given[name])}


def address(endpoint: str, **values: str | None) -> str:
    """Return the address of a page with site and time range kept; a value of None leaves a name out."""
    kept: dict[str, Any] = {**carried(), **values}
    return url_for(endpoint, **{name: value for name, value in kept.items() if value not in (None, "")})


def here(**values: str | None) -> str:
    """Return the address of this page with other values; None leaves a name out."""
    kept: dict[str, str | None] = {**request.args.to_dict(), **values}
    query = urlencode({name: value for name, value in kept.items() if value not in (None, "")})
    return f"{request.path}?{query}" if query else request.path


def theme() -> str:
    """Return the reader's theme, one of THEMES."""
    chosen = request.cookies.get(THEME_COOKIE, "auto")
    return chosen if chosen in THEMES else "auto"


def sites_known() -> list[overview.SiteRow]:
    """Return the sites that the reader may see, for the picker."""
    principal = maybe_principal()
    if principal is None:
        return []
    with services().database.read() as connection:
        return overview.sites(connection, principal.scope)


def script_texts() -> Mapping[str, Any]:
    """Return the texts that scripts write, in the reader's language."""
    texts = {name: gettext(text) for name, text in _TEXTS.items()}
    lamp = {name: gettext(text) for name, text in _LAMP.items()}
    gaps = {name: gettext(text) for name, text in words.GAPS.items()}
    return {**texts, "lamp": lamp, "states": states.words(), "gaps": {**gaps, "unrecorded": gettext(_UNRECORDED)}}


_TEXTS: Final = {
    "loading": N_("Loading …"),
    "failed": N_("This could not be loaded."),
    "no_samples": N_("No samples in this range."),
    "no_series": N_("This resource has no series yet."),
    "table": N_("As a table"),
    "series": N_("Series"),
    "newest": N_("Newest"),
    "at_cursor": N_("At the cursor"),
    "value": N_("value"),
    "total": N_("total"),
    "time": N_("Time"),
    "updated": N_("The graphs have new samples."),
    "not_seen": N_("Not seen {from} \N{EN DASH} {to}"),
    "first_series": N_("The first {shown} of {total} series are drawn."),
    "copied": N_("Copied"),
    "first_rows": N_("The newest {shown} of {total} instants."),
}
_LAMP: Final = {"live": N_("Live"), "stale": N_("Reconnecting"), "off": N_("Not live")}
_UNRECORDED: Final = N_("no reason on record yet")


def install(app: Flask) -> None:
    """Give every template what it shares with the others."""

    @app.context_processor
    def shared() -> dict[str, Any]:
        principal = maybe_principal()
        return {
            "principal": principal,
            "csrf_token": principal.csrf if principal else "",
            "asset": bundle.asset,
            "address": address,
            "here": here,
            "carried": carried(),
            "theme": theme(),
            "themes": THEMES,
            "ranges": RANGES,
            "sites_known": sites_known,
            "script_texts": script_texts,
        }
