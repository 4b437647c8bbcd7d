"""A plan and runs of it that look like the real thing, and a document that is as nasty as it gets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from remediate.model.change import Priority, Ticket, Window
from remediate.model.event import Body, Event
from remediate.model.plan import Artefact, Plan, PlannedCheck, PlannedStep, PlannedWave, RunbookRef
from remediate.model.runbook import Risk, RiskLevel
from remediate.model.step import Check, CheckResult, Context, Estimate, Level, Role, StepClass
from remediate.model.target import Target
from remediate.report.document import (
    Block,
    Bullets,
    Cell,
    Code,
    Diff,
    Document,
    Heading,
    Notice,
    Paragraph,
    Severity,
    Style,
    facts,
    table,
)

START = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
NASTY = (
    "\x1b[31mred\x1b[0m \x1b]8;;http://evil\x07link\x1b]8;;\x07 \x9b2J \u202etxt.exe\u202c zero\u200bwidth "
    "\ud800 \u2028 <script>alert(1)</script> <img src=x onerror=alert(1)> "
    "[x](javascript:alert(1)) ![i](//e/i.png) "
    "| `code` **bold** # https://evil.example &lt; {{ 7 * 7 }} [bold red]x[/] \r\n## heading\n\n---\n```\nend"
)


class Page(Check):
    """A check whose wording depends on the target."""

    kind = "report-sample-http"
    url: str
    status: int = 200

    def title(self, target: Target) -> str:
        return f"GET {target.render(self.url)} answers {self.status}"

    def run(self, context: Context) -> CheckResult:
        raise NotImplementedError


def _web(number: int) -> Target:
    return Target(name=f"web{number}", address=f"10.77.0.{10 + number}")


def _observed(number: int) -> dict[str, object]:
    return {
        "package:shop": {"version": "1.0-1", "status": "installed"},
        "file:/etc/shop/shop.conf": {"sha256": f"{number:x}" * 64, "mode": "0644", "owner": "root"},
    }


def _conf(old: str, new: str) -> str:
    return (
        "--- /etc/shop/shop.conf\n+++ /etc/shop/shop.conf\n@@ -1,4 +1,4 @@\n [server]\n"
        f"-workers = {old}\n+workers = {new}\n listen = 0.0.0.0:8080\n # TLS ends at the load balancer\n"
    )


def plan(**changes: object) -> Plan:
    """Four web servers in two waves; the change is protected by snapshots."""
    names = ("web1", "web2", "web3", "web4")
    http = PlannedCheck(kind=Page.kind, params={"url": "http://{target.address}:8080/healthz"})
    version = PlannedCheck(kind="elsewhere", params={"argv": ["dpkg-query", "-W", "shop"], "equals": "1.1-1"})
    steps = (
        PlannedStep(
            id="snapshot",
            role=Role.BACKUP,
            kind="vmware.snapshot",
            title="take a snapshot of the virtual machine",
            params={},
            targets=names,
            step_class=StepClass.TOKENED,
            level=Level.STORED,
            protects=("patch", "restart"),
            estimate=Estimate(apply=25, verify=5, undo=60),
        ),
        PlannedStep(
            id="patch",
            role=Role.CHANGE,
            kind="ansible.playbook",
            title="upgrade shop to 1.1-1",
            params={},
            targets=names,
            step_class=StepClass.STATE_BASED,
            checks=(http, version),
            retries=1,
            estimate=Estimate(apply=45, verify=30, undo=60, source="p99 of 12 runs"),
            observed={f"web{n}": _observed(n) for n in range(1, 5)},
            preview={
                "web1": _conf("4", "8"),
                "web2": _conf("4", "8"),
                "web3": _conf("4", "8"),
                "web4": _conf("2", "8"),
            },
        ),
        PlannedStep(
            id="restart",
            role=Role.CHANGE,
            kind="hosts.service",
            title="restart shop.service",
            params={},
            targets=names,
            step_class=StepClass.OPAQUE,
            estimate=Estimate(apply=5, verify=10, undo=5),
        ),
        PlannedStep(
            id="gate",
            role=Role.GATE,
            kind="gate",
            title="at most 0 targets failed",
            params={},
            targets=names,
            step_class=StepClass.STATE_BASED,
            estimate=Estimate(apply=0, verify=0, undo=0),
        ),
    )
    source = Artefact(path="runbooks/patch_package.py", sha256="5e" * 32, size=1_312)
    values: dict[str, object] = {
        "id": "p-7f3a",
        "tool_version": "0.1.0",
        "created": START - timedelta(hours=8),
        "expires": START + timedelta(hours=16),
        "author": "maria",
        "ticket": Ticket(
            id="1042", subject="Shop answers 500 under load", requester="olaf", priority=Priority.URGENT
        ),
        "runbook": RunbookRef(
            name="patch-package", source=source, description="Upgrade one Debian package, a canary first."
        ),
        "inputs": {"package": "shop", "version": "1.1-1"},
        "inventory": "inventories/lab",
        "inventory_digest": "c0" * 32,
        "limit": "web",
        "targets": tuple(_web(n) for n in range(1, 5)),
        "waves": (
            PlannedWave(targets=("web1",), soak=60.0),
            PlannedWave(targets=("web2", "web3", "web4")),
        ),
        "steps": steps,
        "acceptance": (http,),
        "artefacts": (source, Artefact(path="playbooks/patch_package.yml", sha256="ab" * 32, size=842)),
        "risk": Risk(
            level=RiskLevel.MEDIUM,
            outage="each host leaves the pool for under 30 s",
            data_loss="none",
            notes="Orders in flight on a host are finished before it leaves the pool.",
        ),
        "window": Window(start=START, end=START + timedelta(hours=2)),
    }
    return Plan.model_validate(values | changes)


def risky_plan() -> Plan:
    """The same with a step that nothing takes back, and a window that is too short."""
    base = plan()
    steps = list(base.steps)
    steps[2] = steps[2].model_copy(update={"irreversible": "sessions in memory are lost"})
    return plan(
        steps=tuple(steps),
        risk=Risk(level=RiskLevel.HIGH, outage="30 s for everybody", data_loss="sessions in memory"),
        window=Window(start=START, end=START + timedelta(minutes=5)),
    )


def events(*bodies: tuple[float, Body]) -> list[Event]:
    """Events of one run, at these seconds after the window opens."""
    return [
        Event(
            seq=number + 6,
            run="r-1a2b",
            number=number,
            at=START.timestamp() + after,
            body=body,
            prev=f"{number - 1:064x}",
            hash=f"{number:064x}",
        )
        for number, (after, body) in enumerate(bodies, 1)
    ]


def nasty_document(text: str = NASTY) -> Document:
    """Hostile text in every place that a document has."""
    blocks: list[Block] = [
        Heading(text),
        Heading(text, 3),
        Paragraph(text),
        facts((text, text), ("code", Cell(text, Style.CODE)), ("bad", Cell(text, Style.BAD))),
        table([text, "b"], [[text, Cell(text, style)] for style in Style]),
        Diff(f"--- a\n+++ b\n@@ -1 +1 @@\n-{text}\n+{text}\n", (text, "web2"), text),
        Code(text, text),
        Bullets((text, "1. one", "- two", "# three", "=== four")),
        *(Notice(level, text) for level in Severity),
    ]
    return Document(text, tuple(blocks))
