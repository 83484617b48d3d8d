"""The catalogues: every text of the dashboard is in both, with the same placeholders, and nothing else is."""

import re
from configparser import ConfigParser
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from metaconsole.web.ui.language import FOLDER, LANGUAGES, translations

ROOT = Path(__file__).resolve().parents[3]
PLACEHOLDER = re.compile(r"%\(\w+\)s|\{\w+\}")


def catalogue(language: str) -> Catalog:
    with (FOLDER / language / "LC_MESSAGES" / "messages.po").open("rb") as source:
        return read_po(source, locale=language)


def texts_of_sources() -> set[str | tuple[str, ...]]:
    config = ConfigParser()
    config.read(ROOT / "babel.cfg", encoding="utf-8")
    methods = [(pattern, method) for method, _, pattern in (name.partition(": ") for name in config.sections())]
    options = {pattern: dict(config[f"{method}: {pattern}"]) for pattern, method in methods}
    found = extract_from_dir(
        ROOT, methods, options, keywords={"_": None, "gettext": None, "N_": None, "ngettext": (1, 2)}
    )
    return {message if isinstance(message, str) else tuple(message) for _, _, message, _, _ in found}


def forms(text: object) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)  # type: ignore[arg-type]


def messages(language: str) -> list[Message]:
    return [message for message in catalogue(language) if message.id]


def test_sources_have_texts() -> None:
    texts = texts_of_sources()
    assert {"Sign in", "Satellites", "running"} <= texts
    assert ("%(number)s frame", "%(number)s frames") in texts


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_text_is_in_each_catalogue_and_no_other(language: str) -> None:
    assert {m.id if isinstance(m.id, str) else tuple(m.id) for m in messages(language)} == texts_of_sources()
    assert not catalogue(language).obsolete


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_text_is_translated_with_its_placeholders(language: str) -> None:
    for message in messages(language):
        assert not message.fuzzy, message.id
        wanted = set(PLACEHOLDER.findall(forms(message.id)[-1]))
        for text in forms(message.string):
            assert text.strip(), message.id
            assert set(PLACEHOLDER.findall(text)) == wanted, message.id


def test_english_says_what_stands_in_the_sources() -> None:
    assert [m.id for m in messages("en") if forms(m.id) != forms(m.string)] == []


def test_spanish_is_not_english() -> None:
    same = {m.id for m in messages("es") if forms(m.id) == forms(m.string)}
    assert same <= {"no", "Sensor", "total"}


def test_catalogues_are_read_as_they_stand() -> None:
    assert translations("es").gettext("Sign in") == "Iniciar sesión"
    assert translations("es").ngettext("%(number)s frame", "%(number)s frames", 2) == "%(number)s tramas"
