"""What a source of the collector `host` may set in satellite.toml."""

from pydantic import Field

from satellite.collector import CollectorConfig


class HostConfig(CollectorConfig):
    """interval: seconds between two cycles."""

    interval: float = Field(default=10, ge=1, le=3600)
