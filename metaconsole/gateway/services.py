"""What all sessions of a gateway share."""

from concurrent.futures import Executor
from dataclasses import dataclass

from metaconsole.gateway.budgets import Budgets
from metaconsole.gateway.certificates import Certificates
from metaconsole.gateway.liveness import Liveness
from metaconsole.gateway.outage import Outage
from metaconsole.gateway.quotas import Quotas
from metaconsole.gateway.window import Windows
from metaconsole.gateway.writer import Writer
from metaconsole.store.database import AsyncDatabase


@dataclass(frozen=True, slots=True)
class Services:
    """Made once, at the start of the gateway."""

    database: AsyncDatabase
    writer: Writer
    liveness: Liveness
    threads: Executor
    metrics: dict[str, int]
    windows: Windows
    outage: Outage  # of series definitions; the writer has that of frames
    budgets: Budgets
    certificates: Certificates
    quotas: Quotas
