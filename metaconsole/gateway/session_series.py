"""The epochs of a session, and the series that are defined in each.

The one promise: a frame is checked by the definitions of its own epoch, every one that came before it among them;
while PostgreSQL is away, the session waits.
"""

import asyncio
from dataclasses import replace
from typing import Final
from uuid import UUID

from metaconsole.gateway.check import Known, ProtocolError
from metaconsole.gateway.definitions import check_definitions, epoch_of
from metaconsole.gateway.series_map import SeriesMap
from metaconsole.gateway.services import Services
from metaconsole.gateway.sources import Sources
from metaconsole.store.database import UnavailableError
from metaconsole.store.epochs import EpochState, Registration
from metaconsole.store.series import define_series, load_series
from shared.pb import telemetry_pb2
from shared.tls import SatelliteIdentity

RETRY_SECONDS: Final = 1.0
MAPS_BYTES: Final = 64 * 1024 * 1024  # of the series of a session's epochs: a million take 32 MiB at the very most


class SessionSeries:
    """What a session knows of its satellite's epochs, series and sources."""

    def __init__(self, services: Services, identity: SatelliteIdentity) -> None:
        self.known = Known(services.metrics, Sources())
        self._registration: Registration
        self._services = services
        self._identity = identity
        self._states: dict[UUID, EpochState] = {}
        self._maps: dict[UUID, SeriesMap] = {}

    def begin(self, registration: Registration, sources: dict[str, int]) -> None:
        """Take what is stored: the epochs that were offered, and the ids of the site's sources."""
        self._registration = registration
        self._states = {state.epoch: state for state in registration.epochs}
        self.known.sources.learn(sources)

    def epoch(self, value: bytes) -> UUID:
        """Return an epoch that a message names; raises ProtocolError where no frame of it may come."""
        epoch = epoch_of(value)
        state = self._states.get(epoch)
        if state is None:
            raise ProtocolError(f"epoch {epoch} was not offered in the greeting")
        if state.retired:
            raise ProtocolError(f"epoch {epoch} is retired: start a new one")
        return epoch

    async def of(self, epoch: UUID) -> SeriesMap:
        """Return the epoch's map, loaded at its first use."""
        while epoch not in self._maps:
            if sum(known.size for known in self._maps.values()) > MAPS_BYTES:
                self._maps.clear()
            loaded = SeriesMap()
            try:
                if self._states[epoch].series_through:
                    who = (self._identity.site_id, self._identity.satellite_id, epoch)
                    async with self._services.database.connection() as connection:
                        loaded.extend(await load_series(connection, *who))
                self._maps[epoch] = loaded
            except UnavailableError as error:
                self._services.outage.lost(error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._services.outage.back()
        return self._maps[epoch]

    async def define(self, message: telemetry_pb2.SeriesDefinitions) -> None:
        """Store definitions; raises ProtocolError."""
        epoch = self.epoch(message.epoch)
        series = await self.of(epoch)
        elsewhere = sum(state.series_through for state in self._states.values() if state.epoch != epoch)
        first, definitions = check_definitions(message, series.through, self.known, elsewhere)
        if not definitions:
            return
        who = (self._identity.site_id, self._identity.satellite_id, epoch)
        while True:
            try:
                async with self._services.database.connection() as connection:
                    ids = await define_series(connection, *who, first, definitions)
                break
            except UnavailableError as error:
                self._services.outage.lost(error)
                await asyncio.sleep(RETRY_SECONDS)
        self._services.outage.back()
        if ids.excess is not None:
            self._services.quotas.refused(self._registration.satellite, self._registration.site, ids.excess)
        series.extend(ids)
        self._states[epoch] = replace(self._states[epoch], series_through=series.through)
        names = [definition.source for definition in definitions]
        found = zip(names, ids.sources.tolist(), strict=True)
        self.known.sources.learn({name: source_id for name, source_id in found if source_id})
