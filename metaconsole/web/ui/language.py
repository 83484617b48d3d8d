"""The reader's language: which it is, and its texts.

The one promise: the catalogues in use are the committed .po files themselves; nothing compiled can lag behind them.
"""

from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Final

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations
from flask import Flask, has_request_context, request

from metaconsole.web.security import maybe_principal

LANGUAGES: Final = {"en": "English", "es": "Español"}
COOKIE: Final = "nephoscope_language"
FOLDER: Final = Path(__file__).resolve().parent.parent / "translations"


@cache
def translations(language: str) -> Translations:
    """Return the texts of one of LANGUAGES."""
    with (FOLDER / language / "LC_MESSAGES" / "messages.po").open("rb") as source:
        catalogue = read_po(source, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)


def language() -> str:
    """Return the language of the request: the account's, else the cookie's, else what the browser prefers."""
    if not has_request_context():
        return "en"
    principal = maybe_principal()
    for choice in (principal.locale if principal else "", request.cookies.get(COOKIE, "")):
        if choice in LANGUAGES:
            return choice
    return request.accept_languages.best_match(tuple(LANGUAGES), default="en")


def locale() -> Locale:
    """Return what Babel needs to write numbers and ages in the language of the request."""
    return Locale.parse(language())


def gettext(message: str) -> str:
    """Return a text in the language of the request."""
    translated: str = translations(language()).gettext(message)
    return translated


def ngettext(singular: str, plural: str, number: int) -> str:
    """Return a text for a number of things in the language of the request."""
    translated: str = translations(language()).ngettext(singular, plural, number)
    return translated


def N_(message: str) -> str:  # noqa: N802
    """Mark a text for translation where it stands; it is translated where it is used."""
    return message


def install(app: Flask) -> None:
    """Give templates `_`, `ngettext` and `{% trans %}`."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]
    app.jinja_env.globals["language"] = language
    app.jinja_env.globals["languages"] = LANGUAGES
