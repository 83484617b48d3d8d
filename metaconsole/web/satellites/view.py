"""Satellites as the API tells them.

The one promise: a satellite counts as seen by the database's clock and its last heartbeat, and by nothing else.
"""

from collections.abc import Mapping
from typing import Any, Final

from metaconsole.store import overview
from metaconsole.store.database import Connection
from metaconsole.store.overview import SatelliteRow
from metaconsole.store.quota import Rooms
from metaconsole.store.scope import Scope
from metaconsole.web.heartbeat import instant, integer, number
from shared.protocol import Skew, skew

RIVAL_MS: Final = 5 * 60_000  # after which a process that was turned away counts as gone, or as let in


def satellites(connection: Connection, scope: Scope) -> list[dict[str, Any]]:
    """Return every satellite with its health."""
    now = overview.now_ms(connection)
    rooms = overview.rooms(connection, scope)
    return [_item(row, rooms[row.site], now) for row in overview.satellites(connection, scope)]


def _item(row: SatelliteRow, rooms: Rooms, now: int) -> dict[str, Any]:
    beat = row.heartbeat
    oldest = instant(beat, "oldest_unsent_ms")
    waiting, rate = integer(beat, "spool_bytes"), number(beat, "backfill_rate")
    return {
        "id": row.id,
        "name": row.name,
        "site": row.site,
        "state": _state(row, now),
        "created": row.created,
        "joined": row.joined,
        "certificate_until": row.certificate_until,
        "revoked": row.revoked,
        "revoked_by": row.revoked_by,
        "seen_at": row.seen,
        "connected_at": row.connected,
        "peer": row.peer,
        "version": row.version,
        "skew": _skew(beat),
        "rival": _rival(row, now),
        "clock_offset_ms": row.clock_offset_ms,
        "clock_uncertainty_ms": row.clock_uncertainty_ms,
        "clock_state": row.clock_state,
        "clock_since": row.clock_since,
        "head": row.head,
        "spool_frames": integer(beat, "spool_frames"),
        "spool_bytes": waiting,
        "spool_bound_bytes": integer(beat, "spool_bound_bytes") or None,
        "spool_kept_bytes": integer(beat, "spool_kept_bytes") if "spool_kept_bytes" in beat else None,
        "spool_full_seconds": integer(beat, "spool_full_seconds") or None,
        "spool_dropped_frames": integer(beat, "spool_dropped_frames") if "spool_dropped_frames" in beat else None,
        "spool_dropped_samples": integer(beat, "spool_dropped_samples") if "spool_dropped_samples" in beat else None,
        "disk_free_bytes": integer(beat, "disk_free_bytes") if "disk_free_bytes" in beat else None,
        "oldest_unsent": oldest,
        "backfill_rate": rate if "backfill_rate" in beat else None,
        "backfill_ends": now + round(waiting / rate * 1000) if rate > 0 else None,
        "lag_ms": max(0, (row.seen or now) + row.clock_offset_ms - oldest) if oldest is not None else 0,
        "frames_produced": integer(beat, "frames_produced"),
        "frames_refused": integer(beat, "frames_refused"),
        "reconciled": row.reconciled,
        "reconciled_samples": row.reconciled_samples,
        "missing_frames": row.missing_frames + row.lost_frames,
        "refused_series": row.refused,
        "refused_samples": row.refused_samples,
        "left_out_resources": row.left_out,
        "site_series": rooms.series.used,
        "site_series_quota": rooms.series.quota,
        "site_resources": rooms.resources.used,
        "site_resources_quota": rooms.resources.quota,
        "epochs_refused": row.epochs_refused if now - (row.epochs_refused or 0) <= RIVAL_MS else None,
        "rss_bytes": number(beat, "rss_bytes"),
        "cpu_seconds": number(beat, "cpu_seconds"),
        "readers": row.readers,
    }


def _skew(beat: Mapping[str, Any]) -> Skew | None:
    if "protocol_major" not in beat:
        return None
    return skew((integer(beat, "protocol_major"), integer(beat, "protocol_minor")))


def _rival(row: SatelliteRow, now: int) -> dict[str, Any] | None:
    """Return the other process with its identity, which comes again at least once a minute while it runs."""
    if row.rival_seen is None or now - row.rival_seen > RIVAL_MS:
        return None
    return {
        "seen_at": row.rival_seen,
        "peer": row.rival_from,
        "version": row.rival_version,
        "process": row.rival_nonce[:8],
    }


def _state(row: SatelliteRow, now: int) -> str:
    if row.revoked is not None:
        return "revoked"
    if _skew(row.heartbeat) in ("too_old", "too_new"):
        return "refused"
    if row.seen is None:
        return "never"
    return "seen" if row.is_seen(now) else "unknown"
