"""Attachments of a ticket in Request Tracker, read back."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping

from remediate.tickets.rt_client import Row, RtClient
from remediate.tickets.rt_entry import File


def of_transaction(client: RtClient, ticket: int, transaction: object) -> Iterator[File]:
    """What hangs on one entry."""
    filters = [{"field": "TransactionId", "value": transaction}]
    for row in client.search(
        f"ticket/{ticket}/attachments", filters, {"fields": "Filename", "orderby": "id"}
    ):
        if row.get("Filename"):
            yield File(str(row["Filename"]), _content(client, row))


def ending_with(client: RtClient, ticket: int, account: int, ending: str) -> dict[str, list[bytes]]:
    """Contents of this account's attachments whose names end so, by transaction."""
    filters: list[Mapping[str, object]] = [
        {"field": "Filename", "operator": "LIKE", "value": ending},
        {"field": "Creator", "value": account},
    ]
    found: dict[str, list[bytes]] = {}
    fields = {"fields": "Filename,TransactionId", "orderby": "id"}
    for row in client.search(f"ticket/{ticket}/attachments", filters, fields):
        if str(row.get("Filename") or "").endswith(ending):
            found.setdefault(str(row["TransactionId"]), []).append(_content(client, row))
    return found


def _content(client: RtClient, row: Row) -> bytes:
    whole = client.record(f"attachment/{row['id']}")
    return base64.b64decode(str(whole.get("Content") or ""))
