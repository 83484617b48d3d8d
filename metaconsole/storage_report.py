"""The account of the database's bytes, as JSON and as text for people."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from metaconsole.store.stats import Account, Held, Sizes, by_tier
from metaconsole.store.stats_forecast import Forecast

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_NO_SITE: Final = "(no site)"


def storage(sizes: Sizes, forecast: Forecast) -> dict[str, Any]:
    """Return what can be told without reading a row: sizes by tier and table, growth and free space."""
    return {
        "total_bytes": sizes.total,
        "catalogue_bytes": sizes.catalogues,
        "file_bytes": sizes.files,
        "tiers": [
            {"tier": tier, "bytes": taken, "growth_bytes_per_day": forecast.growth.get(tier)}
            for tier, taken in sizes.tiers().items()
        ],
        "tables": [
            {
                "table": table.name,
                "tier": table.tier,
                "partitions": table.partitions,
                "bytes": table.bytes,
                "heap_bytes": table.heap,
                "index_bytes": table.indexes,
                "toast_bytes": table.toast,
            }
            for table in sorted(sizes.tables, key=lambda table: (-table.bytes, table.name))
        ],
        "free_bytes": forecast.free_bytes,
        "growth_bytes_per_day": forecast.growth_total,
        "full_days": forecast.full_days,
        "unknown": forecast.unknown,
    }


def account(found: Account, forecast: Forecast) -> dict[str, Any]:
    """Return everything: the above with rows, samples, spans and the shares of the sites."""
    told = storage(found.sizes, forecast)
    for table in told["tables"]:
        table["rows"] = found.rows[table["table"]]
    for tier in told["tiers"]:
        tier |= _held(found.tiers[tier["tier"]])
        shares = by_tier(found, tier["tier"])
        tier["sites"] = [{"site": site or None, **_held(held)} for site, held in shares.items()]
    return told


def lines(told: dict[str, Any]) -> Iterator[str]:
    """Yield the account as tables of text."""
    yield from _table(
        ("TIER", "SITE", "SIZE", "ROWS", "SAMPLES", "B/SAMPLE", "OLDEST", "NEWEST"),
        [row for tier in told["tiers"] for row in _tier_rows(tier)],
    )
    yield ""
    yield from _table(
        ("TABLE", "TIER", "PIECES", "ROWS", "HEAP", "INDEXES", "TOAST", "SIZE"),
        [_table_row(table) for table in told["tables"]],
    )
    yield ""
    yield f"Tables        {_size(sum(table['bytes'] for table in told['tables']))}"
    yield f"Catalogues    {_size(told['catalogue_bytes'])}"
    yield f"Other files   {_size(told['file_bytes'])}"
    yield f"Database      {_size(told['total_bytes'])} ({told['total_bytes']} bytes)"
    growth = told["growth_bytes_per_day"]
    yield f"Growth a day  {'unknown' if growth is None else _size(growth)}"
    yield f"Disk free     {'unknown' if told['free_bytes'] is None else _size(told['free_bytes'])}"
    if told["full_days"] is not None:
        yield f"Disk full in  {told['full_days']:.0f} days"
    if told["unknown"]:
        yield told["unknown"]


def _held(held: Held) -> dict[str, Any]:
    return {
        "bytes": held.bytes,
        "rows": held.rows,
        "samples": held.samples,
        "bytes_per_sample": held.bytes_per_sample,
        "oldest_ms": held.oldest_ms,
        "newest_ms": held.newest_ms,
    }


def _tier_rows(tier: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    yield (tier["tier"], "", *_held_cells(tier))
    for share in tier["sites"]:
        yield ("", share["site"] or _NO_SITE, *_held_cells(share))


def _held_cells(held: dict[str, Any]) -> tuple[str, ...]:
    each = held["bytes_per_sample"]
    return (
        _size(held["bytes"]),
        str(held["rows"]),
        str(held["samples"]) if held["samples"] else "",
        "" if each is None else f"{each:.2f}",
        _moment(held["oldest_ms"]),
        _moment(held["newest_ms"]),
    )


def _table_row(table: dict[str, Any]) -> tuple[str, ...]:
    sizes = (table["heap_bytes"], table["index_bytes"], table["toast_bytes"], table["bytes"])
    return (
        table["table"],
        table["tier"],
        str(table["partitions"] or ""),
        str(table["rows"]),
        *(_size(size) for size in sizes),
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        cells = [
            cell.ljust(width) if n < 2 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _size(taken: float) -> str:
    size, unit = float(taken), 0
    while abs(size) >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"


def _moment(instant_ms: int | None) -> str:
    return "" if instant_ms is None else f"{datetime.fromtimestamp(instant_ms / 1000, UTC):%Y-%m-%d %H:%M}"
