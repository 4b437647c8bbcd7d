"""Use case: execute a plan, or go on with a run. What is done here is safe to be killed at any line."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import remediate
from remediate.adapters.clients import ClientPool, load_sdk
from remediate.approval.envelope import read_envelopes
from remediate.approval.policy import Standing, recheck
from remediate.engine.fold import replay
from remediate.engine.runner import QueueInbox, Runner, ThreadPool
from remediate.engine.state import RunState
from remediate.errors import Exit, InputError, JournalUnwritable, Refused, Waiting
from remediate.journal.holder import this_process
from remediate.journal.interface import Lease
from remediate.journal.tenure import Tenure
from remediate.journal.writer import Writer
from remediate.model.event import Body, Event, Final, Progress, Request, Requested, RunStarted, RunTaken
from remediate.model.plan import Plan
from remediate.model.step import Role, step_type
from remediate.planning.survey import words
from remediate.report.compare import difference
from remediate.report.words import count
from remediate.service import preflight
from remediate.service.approving import standing
from remediate.service.artefacts import copy
from remediate.service.closing import close, close_again, halted
from remediate.service.contexts import Contexts, all_hosts
from remediate.service.folders import private, write_private
from remediate.service.planning import read_plan
from remediate.service.port import AdapterPort
from remediate.service.project import Project, load_extensions
from remediate.service.runs import plan_of
from remediate.service.ticketing import beginning, make_outbox


@dataclass(frozen=True)
class Screen:
    """Who watches, and who may stop it."""

    observe: Callable[[Plan, Event], None] = lambda *_: None
    interrupted: Callable[[], bool] = lambda: False
    progress: Callable[[str], None] = lambda _: None


def execute(
    project: Project, file: Path, screen: Screen, port: Callable[..., AdapterPort] = AdapterPort
) -> Exit:
    """Run a plan file: start it, go on with it, or say why not. ``port`` makes what carries it out.

    Raises:
        Refused: it may not start; nothing was touched.
        Waiting: somebody has to act first (approve, mend the ticket system).
    """
    plan = read_plan(file)
    run = project.journal.run_of_plan(plan.digest)
    if run is not None:
        return resume(project, run, screen)
    with ThreadPoolExecutor(1) as beside:
        # There is time while Ansible reads the inventory. What is wrong with a step type or its SDK is told
        # when it is needed.
        beside.submit(_load, plan)
        found = preflight.check(project, plan, file)
    run = f"r-{plan.digest[:8]}"
    lease = _take(project, run, plan.by_name)
    try:
        return _Execution(project, run, plan, lease, screen, port).start(found, file)
    except (InputError, Refused, Waiting):
        if project.journal.run_of_plan(plan.digest) is None:
            project.journal.release(lease)
        raise


def _load(plan: Plan) -> None:
    load_extensions()
    for kind in {step.kind for step in plan.steps if step.role is not Role.GATE}:
        load_sdk(*step_type(kind).sdks)


def resume(project: Project, run: str, screen: Screen) -> Exit:
    """Go on with a run where it was left, or close its ticket.

    Raises:
        Refused: it is finished (a plan is good for one run), or somebody else executes it.
    """
    plan = plan_of(project, run, events := project.journal.events(run))
    state = replay(plan, events)
    if state.finished is not None and state.finished.exit_code != Exit.NEEDS_HUMAN:
        # The process may have died between the run's end and letting its targets go.
        project.journal.release(_take(project, run, ()))
        return close_again(project, plan, run, state, screen.progress)
    lease = _take(project, run, plan.by_name)
    return _Execution(project, run, plan, lease, screen).go_on()


def ask(project: Project, run: str, what: Request) -> None:
    """Record what a person wants of a run; its runner hears of it within a second."""
    project.journal.append(run, [Requested(what=what, by=project.me)], project.clock(), None)


def _take(project: Project, run: str, targets: Iterable[str]) -> Lease:
    ttl = project.config.limits.lease
    return project.journal.acquire(run, targets, this_process(), project.clock(), ttl)


class _Execution:
    """One process's part in a run: from the lease to letting it go."""

    def __init__(
        self,
        project: Project,
        run: str,
        plan: Plan,
        lease: Lease,
        screen: Screen,
        port: Callable[..., AdapterPort] = AdapterPort,
    ) -> None:
        self._project, self._run, self._plan, self._lease = project, run, plan, lease
        self._screen, self._make_port = screen, port
        self._folder = project.run_folder(run)
        self._revoked = len(project.journal.revocations(plan.digest))
        self._standing: Standing | None = None
        self._tenure = Tenure(project.journal, lease, project.clock, project.config.limits.lease)
        self._outbox = make_outbox(project, plan, run, screen.progress)

    def start(self, found: Standing, file: Path) -> Exit:
        """A new run: keep what it needs, look at every target, then begin."""
        self._standing = found
        self._outbox.check()
        self._keep(file)
        with self._port() as port, contextlib.closing(self):
            self._screen.progress(f"connecting to {count(len(self._plan.targets), 'target')}")
            self._refuse_drift(port)
            first = RunStarted(
                plan=self._plan.digest,
                plan_id=self._plan.id,
                ticket=self._plan.ticket.id,
                runbook=self._plan.runbook.name,
                runner=self._project.me,
                tool_version=remediate.__version__,
                approvals=tuple(a.person for a in found.approvals),
                targets=len(self._plan.targets),
                steps=len(self._plan.steps),
            )
            begun = Progress(text=beginning(self._plan))
            return self._drive(port, first, begun)

    def go_on(self) -> Exit:
        """An earlier process's run. Undo is always permitted; forward only what is still approved."""
        events = self._project.journal.events(self._run)
        first = events[0].body
        if isinstance(first, RunStarted) and first.tool_version != remediate.__version__:
            raise Refused(
                f"run {self._run} was begun by remediate {first.tool_version}, this is another version",
                f"finish it with remediate {first.tool_version}",
            )
        self._standing = self._standing_now(replay(self._plan, events))
        copy(self._plan, self._project.root, self._folder / "artefacts")
        with self._port() as port, contextlib.closing(self):
            body = RunTaken(runner=self._project.me, tool_version=remediate.__version__)
            return self._drive(port, body)

    def _standing_now(self, state: RunState) -> Standing | None:
        """How the plan stands while the run goes on; None if that can't be known, which means: only back.

        Raises:
            Refused: it stands, but not with this person at the keyboard.
        """
        file = self._folder / "approvals" / "plan.json"
        try:
            mine = standing(self._project, self._plan, file, self._project.my_logins)
            anybodys = standing(self._project, self._plan, file)
        except Refused:
            return None
        going_back = state.stopping or state.abort
        if anybodys.approved and not mine.approved and not going_back:
            raise Refused(
                f"{self._project.me} approved this plan, so somebody else has to go on with it",
                f"`remediate abort {self._run}` is open to everybody",
            )
        return mine

    def _keep(self, file: Path) -> None:
        """Everything that a later process needs, from bytes that were just checked."""
        write_private(self._folder / "plan.json", self._plan.data)
        approvals = private(self._folder / "approvals")
        for item in read_envelopes(file):
            name = Path(item.where).name.replace(file.name, "plan.json", 1)
            write_private(approvals / name, item.data)
        copy(self._plan, self._project.root, self._folder / "artefacts")

    @contextlib.contextmanager
    def _port(self) -> Iterator[AdapterPort]:
        load_extensions()
        limits = self._project.config.limits
        with ClientPool(self._fence) as clients:
            contexts = Contexts(
                run=self._run,
                clients=clients,
                secrets=self._project.credentials,
                artefacts=self._folder / "artefacts",
                workspace=self._folder / "work",
                peers=all_hosts(self._plan),
                timeout=limits.step_timeout,
            )
            port = self._make_port(
                self._plan,
                contexts,
                self._authorised,
                self._project.scrub,
                min(limits.parallel, 64),
                self._project.frozen,
            )
            try:
                yield port
            finally:
                port.close()

    def _refuse_drift(self, port: AdapterPort) -> None:
        def look(name: str) -> str:
            try:
                changes = difference(self._plan.original(name), port.inspect(name))
            except Exception as error:
                return f"{name} can't be read: {words(error)}"
            return f"{name} changed since the plan was made: {changes}" if changes else ""

        with ThreadPoolExecutor(self._project.config.limits.parallel) as pool:
            reasons = tuple(filter(None, pool.map(look, self._plan.by_name)))
        if reasons:
            raise Refused(
                "the run may not start, and nothing was touched:\n  " + "\n  ".join(reasons[:20]),
                "plan again, and have the new plan approved",
                reasons,
            )

    def _authorised(self, now: float) -> str:
        revocations = len(self._project.journal.revocations(self._plan.digest))
        if self._standing is None:
            return "the approvals of this plan no longer hold"
        try:
            recheck(
                self._standing,
                self._plan,
                datetime.fromtimestamp(now, UTC),
                lambda: revocations > self._revoked,
            )
        except Refused as error:
            return error.problem
        return ""

    def _drive(self, port: AdapterPort, *first: Body) -> Exit:
        project, plan = self._project, self._plan
        events = project.journal.events(self._run)
        state = replay(plan, events)
        inbox, pool = QueueInbox(), ThreadPool(min(project.config.limits.parallel, 64, len(plan.by_name)))
        writer = Writer(project.journal, self._lease, project.clock, inbox.put, state.number)
        self._outbox.start()
        try:
            writer.record(*first)
            runner = Runner(
                plan, state, port, writer, inbox, pool, project.clock,
                lambda expected, actual: project.scrub(difference(expected, actual)),
                observe=self._observed, interrupted=self._screen.interrupted, heartbeat=self._heartbeat,
                progress_every=plan.ticket.priority.progress_every.total_seconds(), scrub=project.scrub,
            )  # fmt: skip
            code = runner.run()
        except JournalUnwritable as error:
            raise halted(self._run, self._folder, error) from error
        finally:
            pool.close()
            writer.close()
        self._let_go(state)
        return close(project, plan, self._run, self._outbox, code)

    def close(self) -> None:
        """End the outbox's thread; what it has not posted yet, the next process will."""
        self._outbox.stop()

    def _observed(self, event: Event) -> None:
        self._screen.observe(self._plan, event)
        self._outbox.wake()

    def _heartbeat(self) -> None:
        self._tenure.renew(4)

    def _fence(self) -> float:
        """Before anything is changed: whoever slept hears here that the run is another process's now."""
        return self._tenure.renew(2)

    def _let_go(self, state: RunState) -> None:
        """Unlock what is settled; what needs a human, or isn't finished, stays locked."""
        kept = [n for n, t in state.targets.items() if t.settled in (None, Final.HUMAN) and not t.accepted]
        self._project.journal.release(self._lease, kept)
