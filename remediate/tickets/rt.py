"""Request Tracker 5 through its REST2 API. Internal entries are comments, public ones replies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from remediate.errors import InputError
from remediate.model.change import Priority, Ticket
from remediate.model.event import Final
from remediate.tickets import rt_entry, rt_files
from remediate.tickets.interface import Change, Entry, Post, TicketAltered, TicketRefused
from remediate.tickets.rt_client import Row, RtClient, understood
from remediate.tickets.rt_entry import File
from remediate.tickets.rt_people import requestors

#: What the queues of an RT call their priorities; whatever else they say counts as normal.
PRIORITIES = MappingProxyType({p.value: p for p in Priority} | {"medium": Priority.NORMAL})
#: Custom fields by what they hold.
FIELDS = MappingProxyType({"digest": "Plan digest", "risk": "Risk", "window": "Window"})
#: Statuses of the queue's lifecycle.
STATUSES = MappingProxyType(
    {"started": "in progress", Final.NEW.value: "resolved", Final.ORIGINAL.value: "rolled back"}
)
# RT::AuthToken of RT 5: version, user, secret. The user's number tells our entries from others'.
_TOKEN = re.compile(r"1-(\d+)-[0-9a-fA-F]{32}")
_NEWEST = 10
_PAGE = 100


class RequestTrackerTickets:
    """A `TicketSystem`, an `EntryList` and a `ChangeWorkflow`.

    Args:
        url: RT's address, such as ``https://rt.example.com/``.
        token: authentication token of the account that posts (the value, not a reference).
        timeout: seconds to connect, to send, for an answer to begin, and for it to end.
        ca: certificates to trust (a PEM file), in place of the system's.
        priorities: priority by RT's label, in lower case.
        fields: names of the custom fields for ``digest``, ``risk`` and ``window``; without a name: none.
        statuses: names for ``started``, ``verified-new`` and ``verified-original``; without a name: the
            status is left as it is.
    """

    name = "rt"

    def __init__(
        self,
        url: str,
        token: str,
        timeout: float = 10.0,
        *,
        ca: Path | None = None,
        priorities: Mapping[str, Priority] = PRIORITIES,
        fields: Mapping[str, str] = FIELDS,
        statuses: Mapping[str, str] = STATUSES,
    ) -> None:
        shape = _TOKEN.fullmatch(token.strip())
        if not shape:
            raise InputError(
                "the ticket system's token is not an authentication token of Request Tracker 5",
                "make one in RT: Settings, Auth Tokens",
            )
        self._account = int(shape[1])
        self._client = RtClient(url, token.strip(), timeout, ca)
        self._priorities, self._fields, self._statuses = priorities, fields, statuses

    def close(self) -> None:
        """Let the session go."""
        self._client.close()

    def url(self, ticket: str) -> str:
        """The ticket's page."""
        return f"{self._client.base}Ticket/Display.html?id={_number(ticket)}"

    @understood()
    def read(self, ticket: str) -> Ticket:
        """Subject, requestors (mail address, else name) and priority.

        Raises:
            TicketDown: RT can't be reached.
            TicketRefused: there is no such ticket, or the account may not read it or not write to it.
        """
        row = self._client.record(f"ticket/{_number(ticket)}")
        links = row.get("_hyperlinks") or ()
        offered = {link.get("ref") for link in links if isinstance(link, dict)}
        if not {"comment", "correspond"} <= offered:
            raise TicketRefused(
                f"ticket {ticket}: this account may read it, but not write its log there",
                "give the account the rights CommentOnTicket and ReplyToTicket on the queue",
            )
        label = str(row.get("Priority", "")).strip().lower()
        people = requestors(self._client, row)
        return Ticket(
            id=ticket,
            subject=str(row.get("Subject") or ""),
            requester=", ".join(names[0] for names in people) or None,
            requesters=tuple(name for names in people for name in names),
            priority=self._priorities.get(label, Priority.NORMAL),
            system=self.name,
        )

    @understood()
    def last_posted(self, ticket: str, run: str) -> int:
        """Number of the newest event of this run in entries by this account, 0 if none. Reads afresh."""
        self._client.record(f"ticket/{_number(ticket)}")  # RT searches all tickets for one that is not there
        best = 0
        for count, row in enumerate(self._entries(ticket, run, newest_first=True), 1):
            best = max(best, rt_entry.number(row, run))
            # An entry that RT took late may stand behind newer ones, but not behind ten.
            if best and count >= _NEWEST:
                break
        return best

    @understood()
    def posted(self, ticket: str, run: str) -> tuple[int, ...]:
        """The numbers in the markers of this run, in the order of the ticket's history."""
        self._client.record(f"ticket/{_number(ticket)}")
        numbers = (rt_entry.number(row, run) for row in self._entries(ticket, run))
        return tuple(number for number in numbers if number)

    @understood()
    def entries(self, ticket: str, files: str) -> tuple[Entry, ...]:
        """All entries by this account; see `TicketSystem.entries`."""
        self._client.record(f"ticket/{_number(ticket)}")
        contents = rt_files.ending_with(self._client, _number(ticket), self._account, files) if files else {}
        rows = ((rt_entry.mark(row), row) for row in self._entries(ticket))
        return tuple(
            Entry(*mark, str(row.get("Content")), tuple(contents.get(str(row["TransactionId"]), ())))
            for mark, row in rows
            if mark is not None
        )

    @understood()
    def post(self, ticket: str, post: Post) -> None:
        """One comment or reply with its attachments, in one request that RT takes whole; read back.

        Raises:
            TicketDown: RT may or may not have taken it.
            TicketRefused: RT has not taken it.
            TicketAltered: RT has taken it, but shows something else.
        """
        files = rt_entry.files(post)
        body = rt_entry.body(post, files)
        kind = "correspond" if post.public else "comment"
        self._client.create(f"ticket/{_number(ticket)}/{kind}", body)
        try:
            self._compare(ticket, post, str(body["Content"]), [file for file in files if file.data])
        except TicketAltered:
            raise
        except TicketRefused as error:
            raise TicketAltered(
                f"entry #{post.last} was taken, but: {error.problem}", error.advice
            ) from error

    def _compare(self, ticket: str, post: Post, text: str, files: list[File]) -> None:
        """By the same search as `last_posted`: what is not found here would be posted again."""
        row = next(self._newest(ticket, post), None)
        if row is None:
            raise TicketAltered(
                f"ticket {ticket}: Request Tracker took entry #{post.last}, but does not show it",
                "give the account the rights ShowTicket and ShowTicketComments",
            )
        if row.get("Content") != text:
            raise TicketAltered(f"ticket {ticket}: entry #{post.last} does not read as it was written")
        shown = list(rt_files.of_transaction(self._client, _number(ticket), row["TransactionId"]))
        if sorted(shown, key=_order) != sorted(files, key=_order):
            raise TicketAltered(f"ticket {ticket}: attachments of entry #{post.last} are not what was sent")

    def _newest(self, ticket: str, post: Post) -> Iterator[Row]:
        for count, row in enumerate(self._entries(ticket, post.run, newest_first=True), 1):
            if rt_entry.number(row, post.run) == post.last:
                yield row
            if count >= _NEWEST:
                return

    def _entries(self, ticket: str, run: str = "", *, newest_first: bool = False) -> Iterator[Row]:
        """Texts by this account that may hold a marker, of one run (``_`` and ``%`` match more) or of any."""
        filters: list[Mapping[str, object]] = [
            {
                "field": "Content",
                "operator": "LIKE",
                "value": f"[remediate {run} #" if run else "[remediate ",
            },
            {"field": "Creator", "value": self._account},
            {"field": "ContentType", "value": "text/plain"},
        ]
        fields = {
            "fields": "Content,Creator,Filename,TransactionId",
            "fields[Creator]": "id",
            "orderby": "id",
            "order": "DESC" if newest_first else "ASC",
        }
        rows = self._client.search(
            f"ticket/{_number(ticket)}/attachments", filters, fields, _NEWEST if newest_first else _PAGE
        )
        for row in rows:
            creator = row.get("Creator")
            ours = isinstance(creator, dict) and str(creator.get("id")) == str(self._account)
            if ours and not row.get("Filename"):
                yield row

    # Change workflow

    @understood()
    def started(self, ticket: str, change: Change) -> None:
        """Fill the plan's fields and move the ticket to *in progress*.

        Raises:
            TicketRefused: RT keeps a field or the status as it was.
            TicketDown: nobody knows.
        """
        values = {"digest": f"sha256:{change.digest}", "risk": change.risk, "window": change.window}
        fields = {self._fields[key]: v for key, v in values.items() if v and self._fields.get(key)}
        status = self._statuses.get("started")
        # Apart: a field that this RT doesn't have must not keep the status back.
        left = [
            *self._settle(ticket, {"CustomFields": fields}, fields, None),
            *(self._move(ticket, status) if status else ()),
        ]
        _refuse(ticket, left)

    @understood()
    def finished(self, ticket: str, final: Final) -> bool:
        """Move the ticket to its last status; one that needs a human stays as it is, or is opened again.

        From one last status to the other (a resolved change that is rolled back) it goes directly where the
        lifecycle lets it, else by way of *in progress*.

        Raises:
            TicketRefused: RT keeps the status as it was.
            TicketDown: nobody knows.
        """
        status = self._client.record(f"ticket/{_number(ticket)}").get("Status")
        ends = {self._statuses.get(end.value) for end in (Final.NEW, Final.ORIGINAL)}
        again = self._statuses.get("started", "") if status in ends else ""
        wanted = again if final is Final.HUMAN else self._statuses.get(final.value, "")
        if wanted in ("", status):
            return False
        left = self._move(ticket, wanted)
        if left and again not in ("", wanted) and not self._move(ticket, again):
            left = self._move(ticket, wanted)
        _refuse(ticket, left)
        return True

    def _move(self, ticket: str, status: str) -> list[str]:
        return self._settle(ticket, {"Status": status}, {}, status)

    def _settle(
        self, ticket: str, body: Mapping[str, object], fields: Mapping[str, str], status: str | None
    ) -> list[str]:
        """Write what is not so yet, read back, and tell what is still not so: RT refuses with a 200."""
        path = f"ticket/{_number(ticket)}"
        if not _differences(self._client.record(path), fields, status):
            return []
        said = self._client.change(path, body)
        left = _differences(self._client.record(path), fields, status)
        return [*left, f"Request Tracker says: {said or 'nothing'}"] if left else []


def _order(file: File) -> tuple[str, bytes]:
    return file.name, file.data


def _refuse(ticket: str, left: list[str]) -> None:
    if left:
        raise TicketRefused(f"ticket {ticket}: {'; '.join(left)}")


def _differences(row: Row, fields: Mapping[str, str], status: str | None) -> list[str]:
    found = {f.get("name"): f.get("values") for f in row.get("CustomFields") or () if isinstance(f, dict)}
    left = [
        f"field {name!r} is {found.get(name, 'missing')}, not {value!r}"
        for name, value in fields.items()
        if found.get(name) != [value]
    ]
    if status is not None and row.get("Status") != status:
        left.append(f"status is {row.get('Status')!r}, not {status!r}")
    return left


def _number(ticket: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,17}", ticket, re.ASCII):
        raise TicketRefused(f"{ticket[:80]!r} is not the number of a ticket", "write digits only")
    return int(ticket)
