"""The hash chain: every record covers the one before it, so an edit anywhere shows everywhere after."""

from __future__ import annotations

from collections.abc import Iterable

from remediate.model.base import sha256

GENESIS = "0" * 64


def record_hash(prev: str, seq: int, run: str, number: int, at: float, body: str) -> str:
    """SHA-256 over the previous hash and the record; ``body`` is its stored JSON text.

    The fields before the body hold no line break, so the parts can't be told apart in two ways.
    """
    return sha256(f"{prev}\n{seq}\n{run}\n{number}\n{at!r}\n{body}".encode())


def broken(rows: Iterable[tuple[int, str, int, float, str, str, str]]) -> list[str]:
    """What is wrong with a chain of (seq, run, number, at, body, prev, hash) rows; empty when whole."""
    findings: list[str] = []
    prev, expected, numbers = GENESIS, 1, dict[str, int]()
    for seq, run, number, at, body, row_prev, row_hash in rows:
        if seq != expected:
            findings.append(f"records {expected} to {seq - 1} are missing")
        if row_prev != prev:
            findings.append(f"record {seq} does not follow the record before it")
        if row_hash != record_hash(row_prev, seq, run, number, at, body):
            findings.append(f"record {seq} (run {run}, event {number}) was edited")
        if number != numbers.get(run, 0) + 1:
            findings.append(f"run {run}: event {number} follows event {numbers.get(run, 0)}")
        prev, expected, numbers[run] = row_hash, seq + 1, number
    return findings
