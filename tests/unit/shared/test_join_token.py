"""The token: what goes in comes out, and a typo is told at once."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.join_token import PREFIX, SECRET_BYTES, JoinToken, TokenError, digest, new_secret, parse, token_id

TOKEN = JoinToken("noc.example.org:7444", "madrid", bytes(range(16)), bytes(range(32)))
_tokens = st.builds(
    JoinToken,
    address=st.from_regex(r"[a-z0-9.-]{1,60}:[0-9]{1,5}", fullmatch=True),
    site=st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True),
    secret=st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES),
    pin=st.binary(min_size=32, max_size=32),
)


@given(_tokens)
def test_what_is_encoded_is_parsed(token: JoinToken) -> None:
    assert parse(token.encode()) == token


@given(_tokens, st.data())
def test_a_wrong_missing_doubled_or_swapped_character_is_told(token: JoinToken, data: st.DataObject) -> None:
    text = token.encode()
    at = data.draw(st.integers(len(PREFIX), len(text) - 1))
    letter = data.draw(st.sampled_from("ABCXYZabcxyz0189-_"))
    wrong = data.draw(
        st.sampled_from(
            [
                text[:at] + letter + text[at + 1 :],
                text[:at] + text[at + 1 :],
                text[:at] + letter + text[at:],
                text[:at] + text[at : at + 2][::-1] + text[at + 2 :],
            ]
        )
    )
    assume(wrong != text)
    with pytest.raises(TokenError, match="copy all of it again"):
        parse(wrong)


@given(st.text(max_size=200))
def test_no_other_text_is_a_token(text: str) -> None:
    for given_text in (text, PREFIX + text):
        with pytest.raises(TokenError):
            parse(given_text)


def test_it_is_short_and_survives_the_line_breaks_of_a_mail() -> None:
    text = TOKEN.encode()
    assert len(text) <= 115
    assert parse(f"\n {text[:40]}\r\n{text[40:]} \n") == TOKEN


def test_a_token_of_a_newer_metaconsole_says_what_to_upgrade(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.join_token._VERSION", 2)
    newer = TOKEN.encode()
    monkeypatch.undo()
    with pytest.raises(TokenError, match="upgrade this satellite"):
        parse(newer)


def test_what_may_be_logged_does_not_lead_to_the_secret() -> None:
    secret = new_secret()
    assert secret != new_secret()
    assert token_id(secret) == digest(secret).hex()[:8]
    assert secret.hex() not in token_id(secret)
