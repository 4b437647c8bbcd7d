"""What is read of a host: everything by short commands that only look, over its one SSH connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from remediate.adapters.diagnosis import findings
from remediate.adapters.diagnosis.values import Collected
from remediate.adapters.hosts.client import HostClient, connect
from remediate.errors import StepFailed
from remediate.model.step import Context

#: Inventory variable: more log files of a target, a list of paths.
LOGS = "diagnose_logs"
DAYS = 3
_SECONDS = 15.0
_TAIL = "60000"  # bytes of each log file
_PROCESSES = 40

#: Time, owner and path of a file, as find(1) prints them.
_LISTED = r"%TY-%Tm-%TdT%TH:%TM\t%u\t%p\n"

Notice = Callable[[str], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Ask:
    """One command and what stands out in what it says. ``fine`` are exit codes that are no failure."""

    area: str
    name: str
    argv: str
    notice: Notice | None = None
    fine: tuple[int, ...] = (0,)


ASKED = (
    Ask(
        "logs",
        "journal-errors.txt",
        "journalctl --no-pager --output=short-iso --priority=err --since=-1h --lines=500",
        findings.errors,
    ),
    Ask("logs", "kernel.txt", "dmesg --ctime", findings.killed),
    Ask("configuration", "system.txt", "uname -a"),
    Ask(
        "configuration",
        "failed-units.txt",
        "systemctl list-units --failed --plain --no-legend --no-pager --full",
        findings.failed_units,
    ),
    Ask("configuration", "timers.txt", "systemctl list-timers --all --no-pager --full"),
    Ask("configuration", "sockets.txt", "ss -lntup"),
    Ask("configuration", "mounts.txt", "cat /proc/self/mounts"),
    Ask("configuration", "addresses.txt", "ip -brief address"),
    Ask("configuration", "routes.txt", "ip route show table all"),
    Ask("resources", "memory.txt", "cat /proc/meminfo", findings.memory),
    Ask("resources", "disks.txt", "df -P -x squashfs", findings.full_disks, (0, 1)),
    Ask(
        "resources",
        "inodes.txt",
        "df -Pi -x squashfs",
        lambda text: findings.full_disks(text, "inodes of "),
        (0, 1),
    ),
    Ask("changes", "logins.txt", "last -F -w -n 30", None, (0, 1)),
    Ask(
        "changes",
        "etc.txt",
        f"find /etc -xdev -type f -mtime -{DAYS} -printf {_LISTED}",
    ),
)


def collect(context: Context, found: Collected) -> None:
    """Read a host, as far as time allows.

    Raises:
        Unreachable: it can't be reached.
    """
    client = connect(context)
    for ask in ASKED:
        _note(found, ask, found.add(ask.area, ask.name, lambda ask=ask: _ask(client, found, ask)))  # type: ignore[misc]
    _resources(client, found)
    _packages(client, found)
    for path in _logs(context, found):
        name = path.strip("/").replace("/", "_") + ".txt"
        found.add("logs", name, lambda path=path: _run(client, found, ["tail", "-c", _TAIL, "--", path]))  # type: ignore[misc]


def _note(found: Collected, ask: Ask, text: str) -> None:
    if ask.notice:
        found.findings += ask.notice(text)


def _ask(client: HostClient, found: Collected, ask: Ask) -> str:
    return _run(client, found, ask.argv.split(" "), ask.fine)


def _run(client: HostClient, found: Collected, argv: list[str], fine: tuple[int, ...] = (0,)) -> str:
    outcome = client.query(argv, max(1.0, found.left(_SECONDS)))
    if outcome.timed_out or outcome.code not in fine:
        said = outcome.said.splitlines()
        raise StepFailed(f"{argv[0]} {outcome.ending}{': ' + said[0] if said else ''}")
    return outcome.stdout


def _resources(client: HostClient, found: Collected) -> None:
    def load() -> str:
        return _run(client, found, ["cat", "/proc/loadavg"]) + _run(client, found, ["nproc"])

    def pressure() -> str:
        # Each line says "some" or "full", but not of what.
        lines = []
        for resource in ("cpu", "memory", "io"):
            text = _run(client, found, ["cat", f"/proc/pressure/{resource}"])
            lines += [f"{resource} {line}" for line in text.splitlines()]
        return "\n".join(lines) + "\n"

    def processes() -> str:
        # Names without arguments: there people put passwords.
        columns = "pid,ppid,user:16,stat,pcpu,pmem,rss,etimes,comm"
        tops = []
        for order in ("-pcpu", "-rss"):
            said = _run(client, found, ["ps", "-e", "-o", columns, f"--sort={order}"])
            tops.append("\n".join(said.splitlines()[:_PROCESSES]))
        return "\n\n".join(tops) + "\n"

    found.findings += findings.load(found.add("resources", "load.txt", load))
    found.findings += findings.pressure(found.add("resources", "pressure.txt", pressure))
    found.add("resources", "processes.txt", processes)


def _packages(client: HostClient, found: Collected) -> None:
    def changes() -> str:
        log = _run(client, found, ["tail", "-n", "1500", "/var/log/dpkg.log"])
        said = _run(client, found, ["date", "+%s"])
        now = datetime.fromtimestamp(int(said or time.time()), UTC)
        return "\n".join(findings.package_changes(log, now, DAYS)) + "\n"

    lines = found.add("changes", "packages.txt", changes).strip().splitlines()
    if lines:
        number = "1 package change" if len(lines) == 1 else f"{len(lines)} package changes"
        found.findings.append(f"{number} in the last {DAYS} days, the last: {lines[-1]}")


def _logs(context: Context, found: Collected) -> list[str]:
    value = context.target.vars.get(LOGS, [])
    paths = [path for path in value if isinstance(path, str)] if isinstance(value, list) else []
    good = [context.target.render(path) for path in paths if path.startswith("/")]
    if not isinstance(value, list) or len(good) != len(value):
        found.missing.append(f"{LOGS}: write a list of absolute paths")
    return good
