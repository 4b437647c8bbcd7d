"""Who asked for a ticket, under every name that Request Tracker knows them by."""

from __future__ import annotations

from collections.abc import Iterator

from remediate.tickets.interface import TicketRefused
from remediate.tickets.rt_client import Row, RtClient

_GROUPS = 50


def requestors(client: RtClient, row: Row) -> list[tuple[str, ...]]:
    """The names of each requestor: mail address if it may be seen, then login. A group is its members.

    Raises:
        TicketRefused: a group whose members this account may not see: any of them could be the approver.
        TicketDown: RT can't be reached.
    """
    asked = row.get("Requestor")
    logins = _logins(client, asked if isinstance(asked, list) else [], set())
    people = (_names(client, login) for login in dict.fromkeys(logins))
    return list(filter(None, people))


def _logins(client: RtClient, members: list[Row], seen: set[str]) -> Iterator[str]:
    for member in members:
        name = str(member.get("id", ""))
        if member.get("type") != "group":
            yield name
        elif name not in seen:
            seen.add(name)
            if len(seen) > _GROUPS:
                raise TicketRefused(
                    f"more than {_GROUPS} groups asked for this ticket", "name people instead"
                )
            yield from _logins(client, _members(client, name), seen)


def _members(client: RtClient, group: str) -> list[Row]:
    try:
        return client.members(group)
    except TicketRefused as error:
        raise TicketRefused(
            f"a group asked for this ticket, and its members can't be seen: {error.problem}",
            "give the account the right SeeGroup, or name people as requestors",
        ) from error


def _names(client: RtClient, login: str) -> tuple[str, ...]:
    try:
        user = client.record(f"user/{login}") if login else {}
    except TicketRefused:  # an account may see a ticket without seeing its people
        user = {}
    return tuple(dict.fromkeys(filter(None, (str(user.get("EmailAddress") or ""), login))))
