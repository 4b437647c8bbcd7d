"""The hash chain: every record covers the one before it, so an edit anywhere shows everywhere after."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from remediate.model.base import sha256

GENESIS = "0" * 64


def record_hash(prev: str, seq: int, run: str, number: int, at: float, body: str) -> str:
    """SHA-256 over the previous hash and the record; ``body`` is its stored JSON text.

    The fields before the body hold no line break, so the parts can't be told apart in two ways.
    """
    return sha256(f"{prev}\n{seq}\n{run}\n{number}\n{at!r}\n{body}".encode())


def broken(rows: Iterable[tuple[int, str, int, float, str, str, str, str, str | None]]) -> list[str]:
    """What is wrong with a chain of records; empty when whole.

    Args:
        rows: seq, run, number, at, body, prev, hash, and what the body is found by: kind and plan.
    """
    findings: list[str] = []
    prev, expected, numbers = GENESIS, 1, dict[str, int]()
    for seq, run, number, at, body, row_prev, row_hash, kind, plan in rows:
        if seq != expected:
            findings.append(f"records {expected} to {seq - 1} are missing")
        if row_prev != prev:
            findings.append(f"record {seq} does not follow the record before it")
        intact = row_hash == record_hash(row_prev, seq, run, number, at, body)
        if not intact or (kind, plan) != found_by(body):
            findings.append(f"record {seq} (run {run}, event {number}) was edited")
        if number != numbers.get(run, 0) + 1:
            findings.append(f"run {run}: event {number} follows event {numbers.get(run, 0)}")
        prev, expected, numbers[run] = row_hash, seq + 1, number
    return findings


def found_by(body: str) -> tuple[str, str | None] | None:
    """Kind and plan, by which a record is searched for; None if the body says no such thing."""
    try:
        said: Mapping[str, Any] = json.loads(body)
        kind = str(said["kind"])
        return kind, said["plan"] if kind in ("run-started", "revoked") else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
