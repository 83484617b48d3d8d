"""What the metaconsole's processes are told at start: where the database is, what to listen on, where files go."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a process of the metaconsole needs; made by the supervisor or from the command line."""

    database_url: str
    run: Path  # the live view and other files that are worthless after a restart
    pki: Path  # ca.pem, ca.key, gateway.pem, gateway.key
    grpc_host: str = "127.0.0.1"
    grpc_port: int = 7443
    enrol_port: int | None = None  # of grpc_host, where satellites join; None: not here
    enrol_address: str = ""  # HOST:PORT by which sites reach that, as far as is known
    grpc_shared: bool = False  # other gateways may listen on the ports as well
    http_host: str = "127.0.0.1"
    http_port: int = 8080
