"""Calls to Request Tracker's REST2 API, with every failure told apart: not sent, in doubt, refused.

The package `rt` makes the session and reads single records. Writing and searching go through its session
directly: its methods hide whether RT took an entry (201) or only answered (200), and its search stops at
the first page whose rows are all hidden.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from remediate.errors import InputError
from remediate.tickets.interface import TicketDown, TicketRefused, TicketUnreachable

if TYPE_CHECKING:
    import httpx2
    from rt.rest2 import Rt

Row = dict[str, Any]

_API = "REST/2.0/"
_CREATED = 201
_SHOWN = 300


class RtClient:
    """One account at one Request Tracker. Safe to use from many threads.

    Args:
        url: its address, with or without ``REST/2.0/``.
        token: authentication token of the account.
        timeout: seconds without a byte, in each phase of a call.
        ca: certificates to trust (PEM), in place of the system's.
    """

    def __init__(self, url: str, token: str, timeout: float, ca: str | None = None) -> None:
        base = url.rstrip("/").removesuffix(_API.rstrip("/")).rstrip("/") + "/"
        if not base.startswith(("http://", "https://")):
            raise InputError(f"{url!r} is no address of a Request Tracker", "write https://HOST/")
        self.base, self._token, self._timeout, self._ca = base, token, timeout, ca
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
        with self._calling() as rt:
            kind, _, name = path.partition("/")
            read: dict[str, Callable[[str], Row]] = {
                "ticket": rt.get_ticket,
                "user": rt.get_user,
                "attachment": rt.get_attachment,
            }
            return read[kind](name)

    def create(self, path: str, body: Mapping[str, object]) -> None:
        """POST something that RT must create, not only answer.

        Raises:
            TicketRefused: it was not taken; RT's own reason is in the message.
        """
        with self._calling() as rt:
            response = rt.session.post(rt.url + path, json=body)
            _raise_for(response.status_code, response.text)
            if response.status_code != _CREATED:
                raise TicketRefused(f"Request Tracker did not take it: {_shown(response.text)}")

    def change(self, path: str, body: Mapping[str, object]) -> str:
        """PUT, and what RT says of it: it answers refusals like successes, so callers read back."""
        with self._calling() as rt:
            response = rt.session.put(rt.url + path, json=body)
            _raise_for(response.status_code, response.text)
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
        page = 1
        while rows := self._page(path, filters, {**fields, "per_page": str(per_page), "page": str(page)}):
            yield from rows
            page += 1

    def _page(self, path: str, filters: Sequence[Mapping[str, object]], query: dict[str, str]) -> list[Row]:
        with self._calling() as rt:
            response = rt.session.post(rt.url + path, json=list(filters), params=query)
            _raise_for(response.status_code, response.text)
            items = response.json()["items"]
            return [row for row in items if isinstance(row, dict)]

    @contextmanager
    def _calling(self) -> Iterator[Rt]:
        import httpx2
        from rt import exceptions

        try:
            yield self._session()
        except (httpx2.HTTPError, httpx2.InvalidURL, ConnectionError) as error:
            raise self._lost(error) from error
        except exceptions.AuthorizationError as error:
            raise _refusal(401, "") from error
        except exceptions.NotFoundError as error:
            raise _refusal(404, "") from error
        except exceptions.BadRequestError as error:
            raise _refusal(400, str(error)) from error
        except exceptions.UnexpectedResponseError as error:
            _raise_for(error.status_code or 500, str(error))
            raise TicketDown(f"Request Tracker: {error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise TicketDown(
                f"what answers at {self.base} is not Request Tracker's API: {error}", "check the address"
            ) from error

    def _lost(self, error: Exception) -> TicketDown:
        import httpx2

        cause = error.__cause__ if isinstance(error, ConnectionError) else error
        before = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
        words = f"{type(cause).__name__}: {cause}"
        if isinstance(cause, before):
            return TicketUnreachable(f"Request Tracker at {self.base} can't be reached ({words})")
        return TicketDown(f"Request Tracker at {self.base} does not answer ({words})")

    def _session(self) -> Rt:
        from rt.rest2 import Rt

        with self._lock:
            if self._rt is None:
                self._rt = Rt(self.base + _API, token=self._token)
                self._rt.session.close()
                self._rt.session = self._client()
            return self._rt

    def _client(self) -> httpx2.Client:
        """A session that talks to RT alone: no proxy or netrc of the environment sees the token.

        Each call has a connection of its own: when a connection can't be made, nothing was sent.
        """
        import httpx2

        return httpx2.Client(
            timeout=self._timeout,
            verify=self._ca or True,
            trust_env=False,
            follow_redirects=False,
            limits=httpx2.Limits(max_keepalive_connections=0),
            headers={"Authorization": f"token {self._token}", "Connection": "close"},
        )


def _raise_for(status: int, text: str) -> None:
    if status in (408,) or status >= 500:
        raise TicketDown(f"Request Tracker answers with an error of its own ({status}: {_shown(text)})")
    if status == 429:
        raise TicketUnreachable("Request Tracker turns requests away as too many (429)")
    if not 200 <= status < 300:
        raise _refusal(status, text)


_ADVICE = {
    401: ("does not accept the token", "make a new one: Settings, Auth Tokens"),
    403: ("denies it to this account", "give the account the rights on the ticket's queue"),
    404: ("has no such ticket, or this account may not see it", "check the number and the rights"),
    413: ("finds the entry too large", "raise its limit, or attach less"),
}


def _refusal(status: int, text: str) -> TicketRefused:
    said, advice = _ADVICE.get(status, ("refuses", ""))
    if 300 <= status < 400:
        said, advice = "sends us to another address", "write the final https:// address in the settings"
    return TicketRefused(f"Request Tracker {said} ({status} {_shown(text)})".replace(" )", ")"), advice)


def _shown(text: str) -> str:
    return " ".join(text.split())[:_SHOWN]
