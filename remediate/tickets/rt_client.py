"""Calls to Request Tracker's REST2 API, with every failure told apart: not sent, in doubt, refused.

The package `rt` makes the session and reads single records. Writing and searching go through its session
directly: its methods hide whether RT took an entry (201) or only answered (200), and its search stops at
the first page whose rows are all hidden.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from remediate.errors import InputError
from remediate.tickets.interface import TicketDown, TicketRefused, TicketUnreachable

if TYPE_CHECKING:
    import httpx2
    from rt.rest2 import Rt

Row = dict[str, Any]

_API = "REST/2.0/"
_CREATED = 201
_SHOWN = 300
_PAGES = 1000


#: What reading an answer ends in that is none, or has another shape than it should.
STRANGE = (AttributeError, LookupError, RecursionError, TypeError, ValueError)


@contextmanager
def understood() -> Iterator[None]:
    """For what is read in answers: one of another shape is no answer.

    Raises:
        TicketDown: it has.
    """
    try:
        yield
    except STRANGE as error:
        raise TicketDown(
            f"Request Tracker gives answers that its API doesn't have ({type(error).__name__}: {error})",
            "check the address, and which version of Request Tracker is there",
        ) from None


class RtClient:
    """One account at one Request Tracker. Safe to use from many threads.

    Args:
        url: its address, with or without ``REST/2.0/``.
        token: authentication token of the account.
        timeout: seconds to connect, to send, for an answer to begin, and for it to end.
        ca: certificates to trust (PEM), in place of the system's.
    """

    def __init__(self, url: str, token: str, timeout: float, ca: Path | None = None) -> None:
        self.base, self._token, self._timeout, self._ca = address(url), token, timeout, ca
        self._rt: Rt | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let the session go; a later call makes a new one."""
        with self._lock:
            if self._rt is not None:
                self._rt.session.close()
                self._rt = None

    def record(self, path: str) -> Row:
        """One record, such as ``ticket/5`` or ``user/customer``."""
        with self._calling(path) as rt:
            kind, _, name = path.partition("/")
            read: dict[str, Callable[[str], Row]] = {
                "ticket": rt.get_ticket,
                "user": rt.get_user,
                "attachment": rt.get_attachment,
            }
            return read[kind](quote(name, safe="@"))

    def members(self, group: str) -> list[Row]:
        """The users and groups that are directly in a group."""
        with self._calling(f"group/{group}") as rt:
            response = rt.session.get(f"{rt.url}group/{int(group)}")
            _raise_for(response)
            return [row for row in response.json()["Members"] if isinstance(row, dict)]

    def create(self, path: str, body: Mapping[str, object]) -> None:
        """POST something that RT must create, not only answer.

        Raises:
            TicketRefused: it was not taken; RT's own reason is in the message.
        """
        with self._calling(path) as rt:
            response = rt.session.post(rt.url + path, json=body)
            _raise_for(response)
            if response.status_code != _CREATED:
                raise TicketRefused(f"{path}: Request Tracker did not take it: {_shown(response.text)}")

    def change(self, path: str, body: Mapping[str, object]) -> str:
        """PUT, and what RT says of it: it answers refusals like successes, so callers read back."""
        with self._calling(path) as rt:
            response = rt.session.put(rt.url + path, json=body)
            _raise_for(response)
            said = response.json()
            return "; ".join(map(str, said)) if isinstance(said, list) else _shown(response.text)

    def search(
        self,
        path: str,
        filters: Sequence[Mapping[str, object]],
        fields: Mapping[str, str],
        per_page: int = 100,
    ) -> Iterator[Row]:
        """Rows of a search, page by page.

        RT hides rows from an ordinary account after it has cut the pages, and then tells no total: a short
        page is not the last one. An empty one is, for filters that match only rows that may be seen.
        """
        for page in range(1, _PAGES + 1):
            rows = self._page(path, filters, {**fields, "per_page": str(per_page), "page": str(page)})
            if not rows:
                return
            yield from rows

    def _page(self, path: str, filters: Sequence[Mapping[str, object]], query: dict[str, str]) -> list[Row]:
        with self._calling(path) as rt:
            response = rt.session.post(rt.url + path, json=list(filters), params=query)
            _raise_for(response)
            items = response.json()["items"]
            return [row for row in items if isinstance(row, dict)]

    @contextmanager
    def _calling(self, path: str) -> Iterator[Rt]:
        """Every failure as one of ours, with the record's name before it."""
        import httpx2
        from rt import exceptions

        try:
            yield self._session()
        except (httpx2.HTTPError, httpx2.InvalidURL, ConnectionError) as error:
            failure: TicketDown | TicketRefused = _lost(error)
        except exceptions.AuthorizationError:
            failure = _refusal(401, "")
        except exceptions.NotFoundError:
            failure = _refusal(404, "")
        except exceptions.BadRequestError as error:
            failure = _refusal(400, str(error))
        except exceptions.UnexpectedResponseError as error:
            failure = _failure(error.status_code or 500, error.response_message or str(error))
        except STRANGE as error:
            failure = TicketDown(
                f"the answer is not one of Request Tracker's API: {error}", "check the address"
            )
        else:
            return
        name = " ".join(path.split("/")[:2])
        raise type(failure)(f"{name} at {self.base}: {failure.problem}", failure.advice)

    def _session(self) -> Rt:
        from remediate.tickets.rt_session import open_session

        with self._lock:
            if self._rt is None:
                try:
                    self._rt = open_session(self.base + _API, self._token, self._timeout, self._ca)
                except OSError as error:
                    raise InputError(
                        f"{self._ca}: no certificates can be read there: {error}",
                        "name a file with the certificate of Request Tracker's authority (PEM)",
                    ) from error
            return self._rt


def address(url: str) -> str:
    """RT's address, with one slash at its end and without its API's path.

    Raises:
        InputError: it is none, or holds more than it should.
    """
    parts = urlsplit(url)
    extra = parts.username or parts.password or parts.query or parts.fragment
    if parts.scheme not in ("http", "https") or not parts.hostname or extra:
        # Not shown: somebody may have put a password in it.
        raise InputError("the address of Request Tracker is not one", "write https://HOST/ and nothing else")
    return url.rstrip("/").removesuffix(_API.rstrip("/")).rstrip("/") + "/"


def _lost(error: Exception) -> TicketDown:
    import httpx2

    cause = error.__cause__ if isinstance(error, ConnectionError) else error
    before = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
    words = f"{type(cause).__name__}: {cause}"
    if isinstance(cause, before):
        return TicketUnreachable(f"Request Tracker can't be reached ({words})")
    return TicketDown(f"Request Tracker does not answer ({words})")


def _raise_for(response: httpx2.Response) -> None:
    from rt.exceptions import UnexpectedResponseError

    if not 200 <= response.status_code < 300:
        raise UnexpectedResponseError("", response.status_code, response.text)


_ADVICE = {
    401: ("does not accept the token", "make a new one in RT: Settings, Auth Tokens"),
    403: ("denies it to this account", "give the account the rights on the ticket's queue"),
    404: ("has no such ticket, or this account may not see it", "check the number and the rights"),
    413: ("finds it too large", "raise its limit, or attach less"),
}


def _failure(status: int, text: str) -> TicketDown | TicketRefused:
    if status == 408 or status >= 500:
        return TicketDown(f"Request Tracker has an error of its own ({status} {_shown(text)})")
    if status == 429:
        return TicketUnreachable("Request Tracker turns requests away as too many (429)")
    return _refusal(status, text)


def _refusal(status: int, text: str) -> TicketRefused:
    said, advice = _ADVICE.get(status, ("refuses", ""))
    if 300 <= status < 400:
        said, advice = "sends us to another address", "write its final address in the settings"
    return TicketRefused(f"Request Tracker {said} ({status}{' ' if text else ''}{_shown(text)})", advice)


def _shown(text: str) -> str:
    """RT's reason, out of ``{"message": …}`` where it is in one."""
    with suppress(*STRANGE):
        text = str(json.loads(text)["message"])
    return " ".join(text.split())[:_SHOWN]
