"""The lab's ticket system: a real Request Tracker 5 with change requests and approvals, on loopback only.

A change in the queue ``Changes`` goes requested → approved → in progress → resolved | rolled back, or is
rejected. Each new one gets an approval ticket whose owner, a change manager who is neither its creator nor
its requestor, is the only one who may answer. Priorities are RT's numbers 0, 25, 75 and 100, shown as low,
normal, high and urgent; the SLA levels are ``urgent`` (an answer within 30 min, resolved within 4 h) and
``standard`` (2 h and 24 h).

Below HOME/rt: ``live`` (database and secrets, replaced as one by a reset), ``seed-…`` (what they are copied
from), ``mail`` (everything that RT would have sent), ``log``, and links to the secrets.
"""

from __future__ import annotations

import http.client
import shutil
import time
from pathlib import Path
from typing import Literal

from remediate.errors import Refused
from remediate.lab import rt_rest, rt_seed, rt_server
from remediate.lab.command import LabError
from remediate.lab.interface import HOME, Item, Progress
from remediate.lab.locks import locked

PORT = 8877
SERVICE_ACCOUNT = "remediate"
QUEUE = "Changes"
CUSTOM_FIELDS = ("Risk", "Window", "Plan digest", "Customer impact")
PRIORITIES = {"low": 0, "normal": 25, "high": 75, "urgent": 100}

Priority = Literal["low", "normal", "high", "urgent"]


class RequestTracker:
    """One instance of Request Tracker.

    Args:
        home: folder of the lab; everything of this instance is in its subfolder ``rt``.
        port: port on 127.0.0.1.
    """

    name = "rt"

    def __init__(self, home: Path = HOME, port: int = PORT) -> None:
        self.root = home.absolute() / "rt"
        self.port = port

    @property
    def url(self) -> str:
        """Address of the web interface; the API is at ``/REST/2.0/`` below it."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def mail(self) -> Path:
        """File to which RT appends every mail; absent until the first."""
        return self.root / "mail"

    def token(self, user: str = SERVICE_ACCOUNT) -> str:
        """Authentication token of a user (``rt_seed.USERS``)."""
        path = self.root / "live" / f"{user}.token"
        try:
            return path.read_text().strip()
        except OSError as error:
            raise LabError(f"no token for {user}: {error}", "remediate lab up") from error

    # Component

    def packages(self) -> tuple[str, ...]:
        """Debian packages that the machine itself needs."""
        return rt_seed.PACKAGES

    def up(self, progress: Progress) -> None:
        """Build what is missing (about 10 s) and start (about 3 s); a running tracker is left as it is."""
        with locked(self.root / "lock", progress):
            if not (self._pids() and self._version()):
                self._start(progress)

    def down(self) -> None:
        """End our server processes, also those that a crash left behind; data stays."""
        with locked(self.root / "lock", _quiet):
            rt_server.stop(self.root)

    def reset(self, progress: Progress) -> None:
        """Return to the database just after seeding, with the same secrets, and start."""
        with locked(self.root / "lock", progress):
            seed = rt_seed.build(self.root, self.port, progress)
            rt_server.stop(self.root)
            self._replace_live(seed)
            self._start(progress)

    def status(self) -> tuple[Item, ...]:
        """Whether our processes run and answer an authenticated request."""
        pids, version = self._pids(), self._version()
        if pids and version:
            return (Item(self.name, self.url, "up", f"Request Tracker {version}"),)
        if pids:
            return (
                Item(self.name, self.url, "broken", f"runs, but does not answer; see {self.root / 'log'}"),
            )
        return (Item(self.name, self.url, "down"),)

    # What demonstrations and tests do with tickets

    def create_change(
        self,
        subject: str,
        text: str,
        requestor: str,
        priority: Priority = "normal",
        *,
        fields: dict[str, str] | None = None,
        user: str = SERVICE_ACCOUNT,
    ) -> int:
        """File a change request and return its number.

        Args:
            subject: one line.
            text: the request, plain text.
            requestor: name or mail address of a user.
            priority: also sets the SLA level.
            fields: values of custom fields; RT drops an unknown one without a word.
            user: who files it.
        """
        body = {
            "Queue": QUEUE,
            "Subject": subject,
            "Content": text,
            "Requestor": requestor,
            "Priority": priority,
            "SLA": "urgent" if priority == "urgent" else "standard",
            "CustomFields": fields or {},
        }
        answer = rt_rest.call(self.port, self.token(user), "POST", "/ticket", body)
        if not isinstance(answer, dict) or "id" not in answer:
            raise LabError(f"Request Tracker answers a new ticket with {answer!r}")
        return int(answer["id"])

    def ticket(self, ticket_id: int, user: str = SERVICE_ACCOUNT) -> dict[str, object]:
        """A ticket as REST2 shows it to ``user``."""
        answer = rt_rest.call(self.port, self.token(user), "GET", f"/ticket/{ticket_id}")
        if not isinstance(answer, dict):
            raise LabError(f"Request Tracker answers ticket {ticket_id} with {answer!r}")
        return answer

    def approvals(self, ticket_id: int) -> list[int]:
        """Numbers of a change's approval tickets; a search sees them only by type or by link."""
        query = f"Type = 'approval' AND DependedOnBy = {ticket_id:d}"
        return rt_rest.search(self.port, self.token(), query)

    def approve(self, ticket_id: int, user: str = "carol") -> None:
        """Answer every approval of a change with yes.

        Raises:
            Refused: ``user`` is not the one who may answer.
        """
        self._answer(ticket_id, user, "resolved", "approved")

    def reject(self, ticket_id: int, user: str = "carol") -> None:
        """Answer every approval of a change with no; the change becomes ``rejected``."""
        self._answer(ticket_id, user, "rejected", "rejected")

    def _answer(self, ticket_id: int, user: str, answer: str, outcome: str) -> None:
        said: list[object] = []
        for approval in self.approvals(ticket_id):
            path = f"/ticket/{approval}"
            said.append(rt_rest.call(self.port, self.token(user), "PUT", path, {"Status": answer}))
        status = self.ticket(ticket_id)["Status"]
        if status != outcome:
            raise Refused(
                f"change {ticket_id} is {status}, not {outcome}: Request Tracker answered {user} {said}"
            )

    # Machinery

    def _pids(self) -> list[int]:
        return rt_server.find(self.root)

    def _version(self) -> str:
        """Version that the server tells to the service account; empty when it doesn't answer."""
        try:
            answer = rt_rest.call(self.port, self.token(), "GET", "/rt", timeout=10)
        except LabError:
            return ""
        return str(answer.get("Version", "")) if isinstance(answer, dict) else ""

    def _start(self, progress: Progress) -> None:
        rt_server.stop(self.root)
        self._ensure_live(rt_seed.build(self.root, self.port, progress))
        self._link_secrets()
        if _listens(self.port):
            raise LabError(
                f"port {self.port} of 127.0.0.1 is taken by another program", f"ss -ltnp sport = {self.port}"
            )
        rt_seed.make_folders(self.root)
        config = self.root / "RT_SiteConfig.pm"
        shutil.copyfile(rt_seed.SOURCE / config.name, config)
        env = rt_seed.environment(self.root, self.root / "live" / rt_seed.DATABASE, self.port, config)
        progress(f"starting Request Tracker at {self.url}")
        rt_server.start(self.port, env, self.root / "log")
        self._await_answer()

    def _await_answer(self, patience: float = 60) -> None:
        # A process that is just becoming perl has no command line, for as long as its pages take to be read.
        began = seen = time.monotonic()
        while not self._version():
            now = time.monotonic()
            seen = now if self._pids() else seen
            if now - seen > 3 or now - began > patience:
                rt_server.stop(self.root)
                tail = (self.root / "log").read_text(errors="replace").strip()[-2000:]
                raise LabError(f"Request Tracker did not start: {tail}", f"read {self.root / 'log'}")
            time.sleep(0.05)

    def _ensure_live(self, seed: Path) -> None:
        """Keep the data of earlier sessions, unless it was made from another seed."""
        stamp = self.root / "live" / "seed"
        if not stamp.is_file() or stamp.read_text() != seed.name:
            self._replace_live(seed)

    def _replace_live(self, seed: Path) -> None:
        """Put a copy of ``seed`` in place of the live data: a crash leaves the old, the new or none."""
        live, fresh, old = (self.root / name for name in ("live", "live.new", "live.old"))
        for leftover in (fresh, old):
            shutil.rmtree(leftover, ignore_errors=True)
        shutil.copytree(seed, fresh)
        (fresh / "seed").write_text(seed.name)
        if live.exists():
            live.rename(old)
        self.mail.unlink(missing_ok=True)
        shutil.rmtree(self.root / "var" / "sessions", ignore_errors=True)
        fresh.rename(live)
        shutil.rmtree(old, ignore_errors=True)

    def _link_secrets(self) -> None:
        """Show the secrets at fixed paths; links, so that they always belong to the database in use."""
        links = {f"{user}.token": f"{user}.token" for user in rt_seed.USERS}
        links |= {"token": f"{SERVICE_ACCOUNT}.token", rt_seed.ROOT_PASSWORD: rt_seed.ROOT_PASSWORD}
        for name, target in links.items():
            link = self.root / name
            link.unlink(missing_ok=True)
            link.symlink_to(Path("live") / target)


def _listens(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.connect()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def _quiet(_line: str) -> None:
    """Progress of what takes no time."""
