"""A project of its own over a lab of its own, driven by the real command line; and what outsiders can see.

Nothing here uses the product to look at hosts: their disks are read from the machine that they run on. Its
own records are judged by its checker when a test is over.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

from remediate.lab import pool
from remediate.lab.hosts import Hosts
from remediate.lab.inventory import write_inventory
from remediate.lab.keys import key_pair
from remediate.lab.layout import Layout
from remediate.service.auditing import audit_runs
from remediate.service.project import Project

T = TypeVar("T")

REPO = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("remediate")
#: Each worker of pytest has a lab of its own.
LANE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
#: Fixed, so that the next session finds and removes what a killed one has left.
LAYOUT = Layout(Path(f"/var/lib/remediate-lab-e2e{LANE}"), f"rme2e{LANE}", f"10.213.{60 + LANE}")
#: lb1, web1, web2, web3 (which has the setting that shop 1.2 no longer supports).
TOTAL = 4
WEB = ("web1", "web2", "web3")
#: Every test; the bounded subset runs without it.
FULL = os.environ.get("REMEDIATE_FULL") == "1"

_SEEN = (
    "etc",
    "opt",
    "srv",
    "root",
    "home",
    "usr/bin",
    "usr/sbin",
    "usr/local",
    "usr/lib/systemd",
    "var/lib/dpkg/info",
)
#: Written by systemd or apt themselves, whoever works on the host.
_VOLATILE = ("etc/.pwd.lock", "etc/mtab", "etc/ld.so.cache", "etc/resolv.conf")


@dataclass(frozen=True, slots=True)
class Done:
    """A finished command."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Both streams."""
        return f"{self.out}\n{self.err}"

    def json(self) -> Any:
        """Standard output as one JSON value."""
        return json.loads(self.out)

    def lines(self) -> list[Any]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    def expect(self, code: int) -> Done:
        """Itself, if it ended with this exit code."""
        shown = shlex.join(self.argv[1:])
        assert self.code == code, f"{shown}: exit code {self.code}, not {code}\n{self.out}\n{self.err}"
        assert "Traceback" not in self.said, self.said
        return self


@dataclass
class Running:
    """A command that goes on, in a process group of its own; its output goes to files."""

    process: subprocess.Popen[bytes]
    argv: tuple[str, ...]
    files: tuple[Path, Path]

    def signal(self, number: signal.Signals) -> None:
        """To the program alone, not to what it started."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """As `kill -9` does: to the program alone."""
        self.process.kill()
        self.process.wait()

    def kill_all(self) -> None:
        """As when the power fails: the program and whatever it started that stayed in its group."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def wait(self, timeout: float = 120) -> Done:
        """Its end."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{shlex.join(self.argv[1:])} goes on\n{self.said}") from None
        return Done(self.argv, code, self.files[0].read_text(), self.files[1].read_text())

    @property
    def said(self) -> str:
        """What it printed so far."""
        return "\n".join(file.read_text() for file in self.files)


@dataclass(frozen=True)
class Event:
    """One row of the journal, read without the product."""

    number: int
    at: float
    kind: str
    body: Mapping[str, Any]


def until(ask: Callable[[], T], seconds: float = 60.0, what: str = "", pause: float = 0.05) -> T:
    """The first answer that is true, asked again after each pause."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what or ask}"
        time.sleep(pause)
    return answer


@dataclass
class World:
    """One project and the hosts of the second lab.

    Args:
        lab: running.
        root: the project's folder.
        temp: what the program sees as ``TMPDIR``; short, because sockets lie below it.
    """

    lab: Hosts
    root: Path
    temp: Path
    env: dict[str, str] = field(default_factory=dict)
    started: list[Running] = field(default_factory=list)
    journal_file: Path | None = None
    """Where the journal is, if not in its usual place."""
    tampered: tuple[str, ...] = ()
    """Words of what an audit must find, because the test itself has caused it."""
    audited: bool = False

    # -- the project --

    def fill(self, *, ticket: str = "T-1") -> None:
        """Runbooks, playbooks, inventory, people, settings and one ticket."""
        for name in ("runbooks", "playbooks"):
            shutil.copytree(REPO / name, self.root / name, ignore=shutil.ignore_patterns("__pycache__"))
        for source in sorted((Path(__file__).parent / "runbooks").glob("*.py")):
            if source.name != "__init__.py":
                shutil.copy(source, self.root / "runbooks")
        for source in sorted((Path(__file__).parent / "playbooks").glob("*.yml")):
            shutil.copy(source, self.root / "playbooks")
        shutil.copy(REPO / "ansible.cfg", self.root)
        self.inventory()
        self.configure()
        self.file_ticket(ticket)

    def inventory(self) -> None:
        """The hosts of the lab."""
        write_inventory(self.root / "inventory", 5, self.lab.layout)
        self.edit("inventory/hosts.yml", lambda text: _without_host(text, "web4"))

    @contextmanager
    def copy(self, root: Path) -> Iterator[World]:
        """The project at another place, over the same hosts."""
        shutil.copytree(self.root, root)
        made = World(self.lab, root, temporary(), dict(self.env))
        try:
            yield made
        finally:
            made.end()

    def configure(self, *more: str, people: str = "") -> None:
        """Write ``remediate.toml``; ``more`` are further sections, ``people`` replaces those of the lab."""
        home = self.lab.layout.home
        sections = [
            '[project]\nname = "e2e"\ninventory = "inventory"',
            f'[ssh]\nknown_hosts = "{self.lab.layout.known_hosts}"',
            people or PEOPLE,
            *more,
        ]
        text = "\n\n".join(sections)
        if "[approval]" not in text:
            text += f'\n\n[approval]\nallowed_signers = "{home}/people/allowed_signers"'
        (self.root / "remediate.toml").write_text(text + "\n")

    def edit(self, path: str, change: Callable[[str], str]) -> None:
        """Change a file of the project."""
        file = self.root / path
        before = file.read_text()
        after = change(before)
        assert after != before, path
        file.write_text(after)

    def file_ticket(self, name: str, requester: str = "customer@example.org") -> None:
        """Open a ticket as a person does: by a file."""
        folder = self.root / "tickets" / name
        folder.mkdir(parents=True)
        fields = f"subject: e2e\nrequester: {requester}\npriority: normal"
        (folder / "ticket.md").write_text(f"---\n{fields}\n---\n\nPlease.\n")

    def keygen(self, path: Path) -> None:
        """A new signing key of somebody."""
        key_pair(path, path.name)

    def key(self, person: str) -> Path:
        """A person's signing key."""
        return self.lab.layout.home / "people" / person

    # -- the command line --

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """What the program gets: nothing of the developer's own settings."""
        base = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.temp),
            "TMPDIR": str(self.temp),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "COLUMNS": "200",
            # The tree that these tests belong to, whichever is installed.
            "PYTHONPATH": str(REPO),
        }
        return base | self.env | dict(extra or {})

    def cli(self, *args: str | Path, timeout: float = 180, env: Mapping[str, str] | None = None) -> Done:
        """Run ``remediate ARGS`` in the project to its end."""
        return self.start(*args, env=env).wait(timeout)

    def start(
        self, *args: str | Path, env: Mapping[str, str] | None = None, before: Sequence[str] = ()
    ) -> Running:
        """Start ``remediate ARGS``, behind the words ``before`` (strace, for instance)."""
        argv = (*before, str(PROGRAM), *map(str, args))
        number = len(self.started)
        files = self.temp / f"out-{number}", self.temp / f"err-{number}"
        with files[0].open("wb") as out, files[1].open("wb") as err:
            process = subprocess.Popen(
                argv, cwd=self.root, env=self.environment(env), stdin=subprocess.DEVNULL, stdout=out,
                stderr=err, start_new_session=True,
            )  # fmt: skip
        running = Running(process, argv[len(before) :], files)
        self.started.append(running)
        return running

    def plan(self, runbook: str, *args: str, file: str = "fix.plan.json", ticket: str = "T-1") -> Path:
        """Plan, and expect success; ``args`` with an equals sign are inputs."""
        words = [w for a in args for w in (("--set", a) if "=" in a else (a,))]
        self.cli("plan", runbook, "--ticket", ticket, *words, "-o", file).expect(0)
        return self.root / file

    def approve(self, file: Path, *people: str) -> None:
        """Sign, by carol if nobody is named."""
        for person in people or ("carol",):
            self.cli("approve", file, "--key", self.key(person)).expect(0)

    def approved(self, runbook: str, *args: str, file: str = "fix.plan.json") -> Path:
        """A plan that may run; made and signed once for all tests over the same project and hosts."""
        key = (runbook, args, file, tuple(sorted(self.env.items())), self._inputs())
        if (kept := _approved.get(key)) is not None:
            shutil.copytree(kept, self.root, dirs_exist_ok=True)
            return self.root / file
        made = self.plan(runbook, *args, file=file)
        self.approve(made)
        if key[-1]:
            _approved[key] = Path(_kept.name) / str(len(_approved))
            shutil.copytree(self.root, _approved[key])
        return made

    def _inputs(self) -> str:
        """Digest of all that a first plan is made from: files of the project and of the hosts; else empty."""
        if self.journal.exists() or self.journal_file is not None:
            return ""
        found = hashlib.sha256()
        for path in sorted(p for p in self.root.rglob("*") if p.is_file()):
            found.update(
                f"{path.relative_to(self.root)} {path.stat().st_mode:o}\0".encode() + path.read_bytes()
            )
        for host in (*WEB, "lb1"):
            # Each reset makes new certificates.
            facts = {
                k: v for k, v in self.disk_facts(host).items() if not k.startswith("file:/etc/nginx/tls/")
            }
            found.update(repr(sorted(facts.items())).encode())
        return found.hexdigest()

    def end(self) -> None:
        """Nothing that was started goes on, and whatever ran has kept its promises."""
        for running in self.started:
            if running.process.poll() is None:
                running.kill()
        try:
            self.audit()
        finally:
            shutil.rmtree(self.temp, ignore_errors=True)

    def audit(self) -> None:
        """All runs, by the independent checker, their tickets and their folders; once for each world."""
        if self.audited or not self.journal.exists():
            return
        self.audited = True
        with patch.dict(os.environ, self.env):
            project = Project.open(self.root)
            findings = audit_runs(project, None)
            project.journal.close()
        found = [text for text in findings if not any(word in text for word in self.tampered)]
        assert found == [], found

    # -- the journal --

    @property
    def journal(self) -> Path:
        """Its file."""
        return self.journal_file or self.root / ".remediate" / "journal.db"

    def events(self, run: str | None = None) -> list[Event]:
        """Rows of one run, or of the newest run; empty if nothing is there yet."""
        if not self.journal.exists():
            return []
        with closing(_reading(self.journal)) as db:
            if run is None:
                found = db.execute("SELECT run FROM events WHERE kind = 'run-started' ORDER BY seq DESC")
                run = next((row[0] for row in found), "")
            rows = db.execute(
                "SELECT number, at, kind, body FROM events WHERE run = ? ORDER BY number", (run,)
            )
            return [Event(n, at, kind, json.loads(body)) for n, at, kind, body in rows]

    def count(self) -> int:
        """Rows of the whole journal."""
        if not self.journal.exists():
            return 0
        with closing(_reading(self.journal)) as db:
            return int(db.execute("SELECT count(*) FROM events").fetchone()[0])

    @property
    def run(self) -> str:
        """Id of the newest run."""
        with closing(_reading(self.journal)) as db:
            found = db.execute("SELECT run FROM events WHERE kind = 'run-started' ORDER BY seq DESC LIMIT 1")
            return str(found.fetchone()[0])

    def intents(self) -> list[Event]:
        """All intents of all runs."""
        if not self.journal.exists():
            return []
        with closing(_reading(self.journal)) as db:
            rows = db.execute("SELECT number, at, kind, body FROM events WHERE kind = 'intent' ORDER BY seq")
            return [Event(n, at, kind, json.loads(body)) for n, at, kind, body in rows]

    def locks(self) -> dict[str, str]:
        """Run by locked target."""
        if not self.journal.exists():
            return {}
        with closing(_reading(self.journal)) as db:
            return dict(db.execute("SELECT target, run FROM locks").fetchall())

    def wait_for(self, kind: str, seconds: float = 60, **fields: object) -> Event:
        """The first event of this kind with these fields in its body."""

        def look() -> Event | None:
            for event in self.events():
                if event.kind == kind and all(event.body.get(k) == v for k, v in fields.items()):
                    return event
            return None

        found = until(look, seconds, f"{kind} {fields}")
        assert found is not None
        return found

    def finals(self, run: str | None = None) -> dict[str, str]:
        """How each target ended."""
        return {e.body["target"]: e.body["final"] for e in self.events(run) if e.kind == "settled"}

    # -- the ticket --

    def ticket_log(self, ticket: str = "T-1") -> str:
        """The whole log."""
        file = self.root / "tickets" / ticket / "log.md"
        return file.read_text() if file.exists() else ""

    # -- the hosts --

    def disk(self, host: str) -> Path:
        """A host's root directory as this machine sees it."""
        return self.lab.layout.hosts / host / "root"

    def on(self, host: str, *argv: str) -> str:
        """Run a command on a host, past the product; its output."""
        done = self.lab.exec(host, argv)
        assert done.returncode == 0, f"{host}: {argv}: {done.stdout} {done.stderr}"
        return done.stdout

    def go(self, host: str) -> None:
        """Let the step that waits go on; past the network, which may be cut."""
        (self.disk(host) / "var/lib/e2e-go").touch()

    def at_work(self, host: str) -> None:
        """Wait until the command of the step that waits is there."""
        until(lambda: "e2e-go" in self.lab.exec(host, ["ps", "axo", "args"]).stdout)

    def held(self, host: str) -> int:
        """How often the command of the step that waits was carried out."""
        log = self.disk(host) / "var/log/e2e-held"
        return log.read_text().count("done") if log.exists() else 0

    def version(self, host: str, package: str = "shop") -> str:
        """The installed version."""
        return packages(self.disk(host)).get(package, "")

    def healthy(self, host: str) -> int:
        """Status of its health page, from outside."""
        return pool.health(self.lab.machine(host).address)

    def pool(self) -> dict[str, str]:
        """What the load balancer says about its servers."""
        return pool.states(self.lab.machine("lb1").address)

    def upgrades(self, host: str, package: str = "shop") -> list[str]:
        """What dpkg noted: ``upgrade 1.0-1 1.1-1``, in order."""
        log = self.disk(host) / "var/log/dpkg.log"
        words = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
        return [
            f"{w[2]} {w[4]} {w[5]}"
            for w in words
            if len(w) == 6 and w[2] in ("upgrade", "install") and w[3].split(":")[0] == package
        ]

    def fingerprint(self, host: str) -> dict[str, object]:
        """All that a run might change on a host: files with owner, mode and content, packages, units."""
        disk, found = self.disk(host), self.disk_facts(host)
        found |= {f"package:{name}": version for name, version in packages(disk).items()}
        units = ("shop", "nginx") if host != "lb1" else ("haproxy",)
        shown = self.lab.exec(host, ["systemctl", "is-active", *units]).stdout.split()
        return found | {f"unit:{u}": s for u, s in zip(units, shown, strict=True)}

    def disk_facts(self, host: str) -> dict[str, object]:
        """Its files that are not as in the image."""
        folder = self.lab.layout.hosts / host
        layers = [self.lab.layout.cache / name for name in (folder / "layers").read_text().split()]
        return dict(changed_files(folder / "upper", layers))

    def disks(self) -> dict[str, object]:
        """What was written to any host, and the load balancer's pool: enough to see the least effect, and
        quickly read."""
        found = {f"{host} {k}": v for host in (*WEB, "lb1") for k, v in self.disk_facts(host).items()}
        return found | self._settled_pool()

    def fingerprints(self, hosts: Iterable[str] = (*WEB, "lb1")) -> dict[str, object]:
        """Of all hosts, and the load balancer's pool."""
        names = list(hosts)
        with ThreadPoolExecutor(len(names)) as threads:
            each = zip(names, threads.map(self.fingerprint, names), strict=True)
            found = {f"{host} {key}": value for host, facts in each for key, value in facts.items()}
        return found | self._settled_pool()

    def _settled_pool(self) -> dict[str, object]:
        """The pool once the load balancer has caught up: it asks its servers each second only."""
        deadline = time.monotonic() + 15
        while True:
            states = {f"pool {server}": state.split()[0] for server, state in self.pool().items()}
            if "DOWN" not in states.values() or time.monotonic() > deadline:
                return dict(states)
            time.sleep(0.2)


#: Projects with a plan that was approved, by what it was made from; away when the tests end.
_approved: dict[tuple[object, ...], Path] = {}
_kept = tempfile.TemporaryDirectory(prefix="e2e-approved-")

PEOPLE = """\
[people.alice]
principals = ["alice@lab"]
logins = ["root", "alice", "alice@lab.example"]
roles = ["engineer", "change-manager"]

[people.carol]
principals = ["carol@lab"]
logins = ["carol", "carol@lab.example"]
roles = ["change-manager"]

[people.dan]
principals = ["dan@lab"]
logins = ["dan", "dan@lab.example"]
roles = ["change-manager"]"""


def differences(
    before: Mapping[str, object], after: Mapping[str, object]
) -> dict[str, tuple[object, object]]:
    """What is not as it was."""
    keys = sorted({*before, *after})
    return {k: (before.get(k), after.get(k)) for k in keys if before.get(k) != after.get(k)}


def packages(disk: Path) -> dict[str, str]:
    """Installed versions by name, as dpkg has them."""
    found: dict[str, str] = {}
    for stanza in (disk / "var/lib/dpkg/status").read_text().split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in stanza.splitlines() if ": " in line[:40] and line[0] != " "
        )
        if fields.get("Status", "").endswith(" installed"):
            found[fields["Package"]] = fields["Version"]
        elif fields:
            found[fields["Package"]] = fields["Status"]
    return found


def temporary() -> Path:
    """A short private folder."""
    return Path(tempfile.mkdtemp(prefix="e2e-", dir="/tmp"))


def repeats(values: Iterable[object]) -> list[object]:
    """Those that are there more than once."""
    return [value for value, n in Counter(values).items() if n > 1]


def changed_files(upper: Path, layers: Sequence[Path]) -> Iterator[tuple[str, object]]:
    """Files that are not as in the image below: an overlay's upper directory holds all that was written."""

    def below(shown: str) -> tuple[object, ...] | None:
        return next((_fact(p) for layer in layers if os.path.lexists(p := layer / shown)), None)

    for top in _SEEN:
        for folder, names, files in os.walk(upper / top):
            here = Path(folder)
            shown = [str((here / name).relative_to(upper)) for name in (*names, *files)]
            if _replaced(here):
                shown += [s for s in _listed(here.relative_to(upper), layers) if s not in shown]
            for name in sorted(shown):
                fact = _fact(upper / name) if os.path.lexists(upper / name) else _GONE
                if name not in _VOLATILE and fact != below(name):
                    yield f"file:/{name}", fact


def _replaced(folder: Path) -> bool:
    """Whether an overlay shows nothing below this directory of its upper layer."""
    names = os.listxattr(folder)
    assert "trusted.overlay.redirect" not in names, f"{folder} was renamed: not understood here"
    return "trusted.overlay.opaque" in names


def _listed(folder: Path, layers: Sequence[Path]) -> list[str]:
    found = {
        str(folder / p.name)
        for layer in layers
        if (layer / folder).is_dir()
        for p in (layer / folder).iterdir()
    }
    return sorted(found)


_GONE = ("gone",)


_hashes: dict[tuple[str, int, int, int], str] = {}


def _fact(path: Path) -> tuple[object, ...]:
    info = path.lstat()
    about = (stat.filemode(info.st_mode), info.st_uid, info.st_gid)
    if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
        return _GONE
    if stat.S_ISLNK(info.st_mode):
        return (*about, str(path.readlink()))
    if stat.S_ISREG(info.st_mode):
        # Whoever writes to a file changes its ctime, and nobody can set that.
        key = (str(path), info.st_ino, info.st_size, info.st_ctime_ns)
        if key not in _hashes:
            _hashes[key] = hashlib.sha256(path.read_bytes()).hexdigest()
        return (*about, info.st_size, _hashes[key])
    return about


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)


def _without_host(text: str, name: str) -> str:
    data = json.loads(text)
    for group in data["all"]["children"].values():
        group["hosts"].pop(name, None)
    return json.dumps(data, indent=2) + "\n"
