"""What a source of the collector `vsphere` may set in satellite.toml."""

from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from satellite.collector import CollectorConfig

_HOST = r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)$"  # a name, or an IP address
_FINGERPRINT = r"^([0-9A-Fa-f]{64}|[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31})$"

Host = Annotated[str, StringConstraints(pattern=_HOST, max_length=253)]
Fingerprint = Annotated[str, StringConstraints(pattern=_FINGERPRINT)]


class VsphereConfig(CollectorConfig):
    """One vCenter or one ESXi host.

    host, port: where it listens. user: as the vSphere Client takes it.
    password_file: a file that holds the password; a bare name is one of systemd's credentials (LoadCredential=).
    ca_file: PEM of the authority that signed the server's certificate, where this machine does not trust it already.
    fingerprint: SHA-256 of the server's certificate itself, instead of an authority.
    interval: seconds between two looks at hosts and guests. history_interval: the same for clusters, datastores, pools
    and vSAN. budget: the share of the time for which calls may keep the server busy.
    """

    host: Host
    port: int = Field(default=443, ge=1, le=65535)
    user: str = Field(min_length=1, max_length=255)
    password_file: str = Field(min_length=1, max_length=4096)
    ca_file: str | None = Field(default=None, min_length=1, max_length=4096)
    fingerprint: Fingerprint | None = None
    interval: float = Field(default=60, ge=20, le=3600)
    history_interval: float = Field(default=300, ge=60, le=86_400)
    budget: float = Field(default=0.25, gt=0, le=1)

    @model_validator(mode="after")
    def _one_trust(self) -> "VsphereConfig":
        if self.ca_file is not None and self.fingerprint is not None:
            raise ValueError("ca_file and fingerprint exclude each other: keep the one that the certificate is held to")
        return self
