"""What can be learned about a host, as typed calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from remediate.adapters.hosts.keys import file_key, named, package_key, service_key
from remediate.adapters.hosts.session import Answer, Session
from remediate.adapters.hosts.values import Change, Deb, Entry, Found, Grabbed, Outcome, outcome
from remediate.errors import StepFailed
from remediate.model.base import State

#: Bytes in one request or answer; a longer file travels in parts.
PART = 4 << 20
#: Contents that come along with one look at many files.
ROOM = 8 << 20
#: What a request may take beyond its own work, in seconds: the way there and back, and a busy host.
SLACK = 15.0
#: Deadlines of one request that looks, that simulates, that fetches packages.
_LOOK = 60.0
_SIMULATE = 180.0
_FETCH = 900.0
#: Of one request that reads all of a host.
_WHOLE = 300.0


class HostReader:
    """A host, to be looked at. If the connection fails, a call raises `Unreachable`: it changed nothing."""

    def __init__(self, session: Session, timeout: float, fence: Callable[[], float]) -> None:
        self.fence = fence
        self.session = session
        self.timeout = timeout

    @property
    def boot(self) -> str:
        """Changes with every boot of the host."""
        return self.session.boot

    def _read(self, op: str, seconds: float | None = None, **fields: Any) -> Answer:
        wait = seconds or min(self.timeout, _LOOK)
        return self.session.ask(op, effect=False, seconds=wait, fields=fields)

    def facts(self, keys: Iterable[str]) -> State:
        """Facts by key (``file:``, ``package:``, ``service:``), in one round trip."""
        return self.find(keys).facts

    def find(
        self, keys: Iterable[str], packages: Mapping[str, str] | None = None, options: Sequence[str] = ()
    ) -> Found:
        """Facts, and for ``packages`` (name → version) what apt would change, with facts about all of that.

        Args:
            keys: as for `facts`.
            packages: versions that apt is to reach, in a simulation.
            options: of apt-get, as for the real thing.
        """
        wanted = list(keys)
        fields = self._read(
            "facts",
            _SIMULATE if packages else None,
            files=named(wanted, "file"),
            packages=named(wanted, "package"),
            services=named(wanted, "service"),
            simulate=dict(packages or {}),
            options=list(options),
        ).fields
        facts: State = {file_key(path): _clean(fact) for path, fact in fields["files"].items()}
        facts |= {package_key(name): fact for name, fact in fields["packages"].items()}
        facts |= {service_key(name): fact for name, fact in fields["services"].items()}
        changes = tuple(Change(**change) for change in fields["changes"])
        return Found(facts, changes, tuple(fields["conffiles"]))

    def grab(self, paths: Sequence[str], room: int = ROOM) -> tuple[Grabbed, ...]:
        """What is at these paths with everything below; contents come along until ``room`` bytes are full."""
        answer = self._read("grab", paths=list(paths), room=room)
        return tuple(
            Grabbed(one["path"], _clean(one["fact"]), _entries(one["entries"], answer.payload))
            for one in answer.fields["found"]
        )

    def whole(
        self, watch: Sequence[str], ignored: Sequence[str], units: Sequence[str], seconds: float = _WHOLE
    ) -> Mapping[str, Mapping[str, Any]]:
        """Files below ``watch``, packages and units, by kind and name, without those that patterns ignore."""
        fields = self._read(
            "whole", seconds, watch=list(watch), ignored=list(ignored), units=list(units)
        ).fields
        return {kind: fields[kind] for kind in ("files", "packages", "units")}

    def read(self, path: str, limit: int = 64 << 20) -> bytes:
        """The content of a regular file.

        Raises:
            StepFailed: it is absent, no regular file, or longer than ``limit`` bytes.
        """
        content = bytearray()
        while True:
            part = self._read("read", path=path, offset=len(content), length=PART).payload
            content += part
            if len(content) > limit:
                raise StepFailed(f"{self.session.name}: {path} is longer than {limit} bytes")
            if len(part) < PART:
                return bytes(content)

    @contextmanager
    def debs(self, wanted: Iterable[tuple[str, str, str]]) -> Iterator[tuple[Deb, ...]]:
        """Package files (name, version, architecture or ""), fetched by the host; there for the block.

        Raises:
            StepFailed: one can't be had, or is damaged.
        """
        fields = self._read("fetch", _FETCH, wanted=[list(one) for one in wanted]).fields
        try:
            yield tuple(Deb(**{**one, "conffiles": tuple(one["conffiles"])}) for one in fields["debs"])
        finally:
            # The agent would do it at its end as well.
            with suppress(StepFailed):
                self._read("discard", folder=fields["folder"])

    def query(
        self, argv: Sequence[str], seconds: float = 60.0, env: Mapping[str, str] | None = None
    ) -> Outcome:
        """Run a command that only reads. It is ended after ``seconds``."""
        fields = self._read(
            "query", seconds + SLACK, argv=list(argv), env=dict(env or {}), limit=seconds
        ).fields
        return outcome(tuple(argv), fields)


def _entries(shown: Iterable[Mapping[str, Any]], payload: bytes) -> tuple[Entry, ...]:
    return tuple(
        Entry(
            one["path"],
            one["fact"],
            one["mtime"],
            payload[one["at"] : one["at"] + one["fact"]["size"]] if "at" in one else None,
        )
        for one in shown
    )


def _clean(fact: dict[str, Any]) -> dict[str, Any]:
    """A link may lead to a name that is not UTF-8; facts are text."""
    if "to" in fact:
        return {
            **fact,
            "to": fact["to"].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"),
        }
    return fact
