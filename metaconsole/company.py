"""A certificate of the company's own for the gateways, beside the one by which satellites know them.

The one promise: a certificate that is taken was seen to work, in a handshake with whoever knows the company's authority
alone; and the metaconsole's own stays in use beside it, for who asks for the gateways' own name.
"""

import datetime as dt
import re
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509

from metaconsole.rollover import RolloverError, changing
from shared.addresses import NAME_PATTERN
from shared.pairs import discard, load_pair, replace_pair, write_private

FILES: Final = ("company.pem", "company.key", "company-ca.pem", "company.name")
SOON: Final = dt.timedelta(days=30)  # before its end it is told of
_LEAST: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Company:
    """What gateways show, as PEM (chain, key), the authorities that satellites are to trust, and the name of it."""

    certificate: bytes
    key: bytes
    authorities: bytes
    name: str
    ends: dt.datetime

    def ends_soon(self, now: dt.datetime) -> str:
        """Return the sentence that a new one is needed, empty while it is not."""
        if self.ends - now > SOON:
            return ""
        end = "ended" if self.ends <= now else "ends"
        return (
            f"the company's certificate for {self.name} {end} on {self.ends:%Y-%m-%d %H:%M} UTC: satellites that look "
            "for that name can't connect then; nephoscope metaconsole ca company takes a new one"
        )


def load_company(pki: Path) -> Company | None:
    """Load it, None where there is none. Raises OSError, ValueError."""
    if not (pki / "company.name").exists():
        return None
    certificate, key = load_pair(pki / "company.pem", pki / "company.key")
    ends = x509.load_pem_x509_certificate(certificate).not_valid_after_utc
    name = (pki / "company.name").read_text(encoding="ascii").strip()
    return Company(certificate, key, (pki / "company-ca.pem").read_bytes(), name, ends)


def take_company(
    pki: Path,
    files: tuple[Path, Path, Path | None],
    name: str | None,
    now: dt.datetime,
    note: Callable[[Company], None],
) -> Company:
    """Use a certificate from now on: files are it (its chain, leaf first), its key, and the authorities to be trusted.

    Authorities and name are those of before where None. note is called with what was found good, before it is used.
    Raises RolloverError, OSError.
    """
    certificate, key, authority = files
    with changing(pki):
        present = load_company(pki)
        if authority is not None:
            authorities = _read(authority)
        elif present is not None:
            authorities = present.authorities
        else:
            raise RolloverError("name the company's authority as well, with --authority")
        found = _checked(certificate, key, authorities, name or (present.name if present else None), now)
        note(found)
        # The name is last: it is what says that there is one.
        write_private(pki / "company-ca.pem", found.authorities)
        replace_pair(pki / "company.pem", pki / "company.key", (found.certificate, found.key))
        write_private(pki / "company.name", found.name.encode())
    return found


def drop_company(pki: Path) -> None:
    """Use the metaconsole's own alone. Raises RolloverError, OSError."""
    with changing(pki):
        if load_company(pki) is None:
            raise RolloverError("there is no certificate of the company")
        discard([pki / name for name in reversed(FILES)])


def _read(path: Path) -> bytes:
    content = path.read_bytes()
    try:
        x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise RolloverError(f"{path} holds no certificates as PEM: {error}") from error
    return content


def _checked(certificate: Path, key: Path, authorities: bytes, name: str | None, now: dt.datetime) -> Company:
    chain = _read(certificate)
    leaf = x509.load_pem_x509_certificates(chain)[0]
    names = _names(leaf)
    if name is None and (not names or names[0].startswith("*")):
        raise RolloverError(
            f"{certificate} is for {', '.join(names) or 'no DNS name'}: say with --name for which of its names "
            "satellites look"
        )
    wanted = name or names[0]
    if not re.fullmatch(NAME_PATTERN, wanted):
        raise RolloverError(f"{wanted!r} is not the DNS name of a server")
    if leaf.not_valid_before_utc > now or leaf.not_valid_after_utc - now < _LEAST:
        begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
        raise RolloverError(
            f"{certificate} is valid from {begins:%Y-%m-%d %H:%M} to {ends:%Y-%m-%d %H:%M} UTC: it must be valid now "
            "and for a day more"
        )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        server.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, ValueError) as error:
        raise RolloverError(
            f"{key} is not the key of {certificate}, or has a password: both as PEM, without a password ({error})"
        ) from error
    _shake_hands(server, authorities, wanted, names, certificate)
    return Company(chain, key.read_bytes(), authorities, wanted, leaf.not_valid_after_utc)


def _names(leaf: x509.Certificate) -> list[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.DNSName)


def _shake_hands(server: ssl.SSLContext, authorities: bytes, name: str, names: list[str], certificate: Path) -> None:
    """Let a client that trusts the authorities alone connect by the name, in memory."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with tempfile.NamedTemporaryFile() as trusted:
        trusted.write(authorities)
        trusted.flush()
        client.load_verify_locations(trusted.name)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = client.wrap_bio(back, there, server_hostname=name), server.wrap_bio(there, back, server_side=True)
    done = 0
    while done < len(ends):
        done = 0
        for end in ends:
            try:
                end.do_handshake()
                done += 1
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                raise RolloverError(
                    f"who looks for {name} does not accept {certificate}, which is for "
                    f"{', '.join(names) or 'no name'}: {error.verify_message}; the file is to hold the certificate and "
                    "all between it and the authority"
                ) from error
