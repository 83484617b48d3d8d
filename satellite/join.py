"""Joining: a token becomes a folder from which the satellite runs; or a folder that has one gets its identity back.

The one promise: the token is sent to nobody but the metaconsole that it names, over a connection that was verified; and
a folder that was not complete is left as it was.
"""

import contextlib
import datetime as dt
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

from satellite.certificate import CertificateError, CertificateFiles, Request
from satellite.channels import options
from satellite.probe import JoinError, authority_pem
from shared import __version__, join_token, satellite_file
from shared.addresses import NAME_PATTERN, split
from shared.certificates import Leaf, leaf_in
from shared.join_token import JoinToken
from shared.pairs import discard, write_private
from shared.pb import enrolment_pb2, enrolment_pb2_grpc

CALL_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Folder:
    """Where the satellite is to live; leaf is that of the satellite that lives there already."""

    path: Path
    site: str
    name: str
    certificate: Path
    key: Path
    trust: Path
    leaf: Leaf | None


@dataclass(frozen=True, slots=True)
class Joined:
    """What came of it."""

    site: str
    name: str
    config: Path
    ends: dt.datetime
    is_back: bool


def join(text: str, path: Path, proxy: str | None, now: dt.datetime) -> Joined:
    """Join with the token's text; raises JoinError."""
    try:
        token = join_token.parse(text)
        split(token.address)
    except ValueError as error:
        raise JoinError(str(error)) from error
    folder = _look(path.absolute())
    authority = authority_pem(token, proxy, now)
    request = Request()
    try:
        with _made(folder, request):
            answer = _ask(token, authority, request, folder, proxy, now)
            leaf = request.accept(answer)
            _write(folder, request, answer, proxy)
    except CertificateError as error:
        raise JoinError(f"{error}; upgrade the older of the two sides, and make a new token") from error
    except OSError as error:
        raise JoinError(f"{path} can't be written ({error.strerror or error}): name another folder") from error
    config = folder.path / satellite_file.FILE
    return Joined(answer.site, answer.name, config, leaf.ends, folder.leaf is not None)


def _look(path: Path) -> Folder:
    """Return the folder, new, empty or with a satellite that may join again; raises JoinError."""
    config, names = path / satellite_file.FILE, satellite_file.certificate_files(path)
    try:
        if not config.exists():
            if path.exists() and any(one.name != f"{satellite_file.KEY}.new" for one in path.iterdir()):
                raise JoinError(f"{path} is in use and holds no satellite: name a folder that does not exist yet")
            return Folder(path, "", "", *names, None)
        content = tomllib.loads(config.read_text(encoding="utf-8"))
        files = [path / str(content[key]) for key in ("certificate", "key", "trust")]
        leaf = leaf_in(files[0])
        if leaf is None:
            raise JoinError(
                f"{path} has a satellite whose certificate {files[0]} can't be read, so that nobody can tell whose "
                "token fits: name another folder"
            )
        return Folder(path, str(content["site"]), str(content["name"]), files[0], files[1], files[2], leaf)
    except (KeyError, ValueError) as error:
        raise JoinError(f"{config} can't be read ({error}): correct it, or name another folder") from error
    except OSError as error:
        raise JoinError(f"{path} can't be used ({error.strerror or error}): name another folder") from error


@contextlib.contextmanager
def _made(folder: Folder, request: Request) -> Iterator[None]:
    """Make the folder and see that a key can be written before the token is used up; undo it when that fails."""
    was_there = folder.path.exists()
    folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    trial = folder.path / "join.trial"
    try:
        write_private(trial, request.key_pem)
        trial.unlink()
        yield
    except BaseException:
        discard([trial])
        if folder.leaf is None:
            discard([folder.certificate, folder.key, folder.trust])
        if not was_there:
            with contextlib.suppress(OSError):  # what made it fail may forbid this, too
                folder.path.rmdir()
        raise


def _ask(
    token: JoinToken, authority: bytes, request: Request, folder: Folder, proxy: str | None, now: dt.datetime
) -> enrolment_pb2.Certificate:
    message = enrolment_pb2.JoinRequest(
        token_id=join_token.token_id(token.secret),
        token_secret=token.secret,
        site=token.site,
        signing_request_der=request.der,
        version=__version__,
        now_ms=int(now.timestamp() * 1000),
        satellite_id=str(folder.leaf.identity.satellite_id) if folder.leaf else "",
    )
    with grpc.secure_channel(token.address, grpc.ssl_channel_credentials(authority), options(proxy)) as channel:
        stub = enrolment_pb2_grpc.EnrolmentStub(channel)  # type: ignore[no-untyped-call]
        try:
            answer: enrolment_pb2.Certificate = stub.Join(message, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            raise JoinError(_sentence(error, token.address)) from error
    return answer


def _write(folder: Folder, request: Request, answer: enrolment_pb2.Certificate, proxy: str | None) -> None:
    for uplink in answer.uplinks:
        try:
            split(uplink)
        except ValueError as error:
            raise CertificateError(f"the metaconsole named an uplink that is none: {error}") from error
    if answer.server_name and not re.fullmatch(NAME_PATTERN, answer.server_name):
        raise CertificateError(f"the metaconsole named a server that can't be: {answer.server_name[:100]!r}")
    CertificateFiles(folder).replace(request, answer)
    if folder.leaf is None:
        line = satellite_file.uplinks_line(list(answer.uplinks))
        named = {"proxy": proxy or "", "server_name": answer.server_name}
        text = satellite_file.text(answer.site, answer.name, line, **named)
        write_private(folder.path / satellite_file.FILE, text.encode())


def _sentence(error: grpc.RpcError, address: str) -> str:
    code, details = error.code(), error.details()
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return f"{address} is no port where satellites join: they do at 7444 unless --enrol-port says otherwise"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return (
            f"{address} did not answer within {CALL_SECONDS:g} s: try again; should the token be used up, make another"
        )
    return str(details)
