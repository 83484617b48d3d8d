"""What a source of the collector `libvirt` may set in satellite.toml."""

from pydantic import Field

from satellite.collector import CollectorConfig


class LibvirtConfig(CollectorConfig):
    """uri: where libvirt is, as virsh takes it; interval: seconds between two cycles."""

    uri: str = Field(default="qemu:///system", pattern=r"^[a-z0-9+]+://[!-~]*$", max_length=1024)
    interval: float = Field(default=10, ge=1, le=3600)
