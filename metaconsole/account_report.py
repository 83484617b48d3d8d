"""The account of what satellites produced, as JSON and as text for people."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from metaconsole.account import Account, Line
from metaconsole.store.reconciled import Difference, Reported

_WORDS: Final = {
    "dropped": "dropped by the satellite: its spool or its disk was full",
    "error": "damaged at the satellite before they were sent",
    "gone": "missing here after they were stored, and held by the satellite no more",
    "refused: quota": "refused: the site had all its series",
    "absent": "not accounted for: asked for at the satellite's next report",
}


def told(of: Reported, found: Account, differences: Sequence[Difference]) -> dict[str, Any]:
    """Return the account of a satellite."""
    return {
        "satellite": of.name,
        "told": of.reconciled_at.isoformat() if of.reconciled_at else None,
        "version": of.version,
        "produced": {"frames": found.frames, "samples": found.samples},
        "stored": {"frames": found.frames - found.missing, "samples": found.stored_samples},
        "missing": {
            "frames": found.missing,
            "samples": found.samples - found.stored_samples,
            "reasons": {**found.lost, **({"absent": found.absent} if found.absent else {})},
        },
        "refused_samples": found.refused_samples,  # of frames that are stored
        "duplicated": {"frames": found.again_frames, "samples": found.again_samples},
        "differing": [_line(line) for line in found.differing],
        "differences": [
            {
                "found": one.found_at.isoformat(),
                "epoch": one.line.told.epoch.hex,
                "first": one.line.told.first,
                "last": one.line.told.last,
                "stored": one.line.frames - one.line.missing,
                "absent": one.line.absent,
                "lost": dict(one.line.lost),
            }
            for one in differences
        ],
        "accounted": of.reconciled_at is not None and not found.differing,
    }


def lines(site: str, one: dict[str, Any]) -> Iterator[str]:
    """Yield the account of a satellite as text."""
    if one["told"] is None:
        version = f" runs version {one['version']} and" if one["version"] else ""
        yield (
            f"satellite {one['satellite']} of site {site}{version} has never told what it produced: version 0.1.0 does "
            "not tell it, a later one does once what waits in its spool is delivered"
        )
        return
    yield f"satellite {one['satellite']} of site {site}, as it told and was compared on {one['told'][:16]} UTC"
    for name in ("produced", "stored", "missing", "duplicated"):
        yield f"  {name:<11}{one[name]['frames']:>14,} frames{one[name]['samples']:>18,} samples"
        for reason, frames in one[name].get("reasons", {}).items():
            yield f"  {'':<11}{frames:>14,} {_WORDS.get(reason, reason)}"
    if one["refused_samples"]:
        yield f"  {one['refused_samples']:,} samples of frames that are stored are refused: the site had all its series"
    for line in one["differing"]:
        yield f"  not accounted for, spooled {line['from'][:19]} to {line['to'][:19]} UTC: {_where(line)}"
        yield (
            f"    {line['absent']:,} frames absent, {line['duplicated']:,} stored twice; "
            f"{line['samples_produced']:,} samples produced, {line['samples_stored']:,} stored"
        )
    for line in one["differences"]:
        yield f"  was missing on {line['found'][:16]} UTC: {_where(line)}; {_outcome(line)}"
    yield "  " + ("everything is accounted for" if one["accounted"] else "not everything is accounted for")


def _where(line: dict[str, Any]) -> str:
    return f"epoch {line['epoch']}, sequences {line['first']} to {line['last']}"


def _outcome(line: dict[str, Any]) -> str:
    parts = [(line["stored"], "sent again and stored"), (line["absent"], "still absent"), *_lost(line["lost"])]
    return ", ".join(f"{frames:,} {word}" for frames, word in parts if frames)


def _lost(lost: dict[str, int]) -> Iterator[tuple[int, str]]:
    for reason, frames in lost.items():
        yield frames, f"lost ({reason})"


def _line(line: Line) -> dict[str, Any]:
    return {
        "epoch": line.told.epoch.hex,
        "first": line.told.first,
        "last": line.told.last,
        "from": _instant(line.told.from_ms),
        "to": _instant(line.told.to_ms),
        "absent": line.absent,
        "lost": dict(line.lost),
        "duplicated": line.again_frames,
        "samples_produced": line.told.samples,
        "samples_stored": line.stored_samples,
    }


def _instant(ms: int) -> str:
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).isoformat()
    except (OverflowError, ValueError, OSError):  # what a satellite tells may be any number
        return str(ms)
