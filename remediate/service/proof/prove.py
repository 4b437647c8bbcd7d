"""Break a runbook at every step, let it roll back, and compare every host with what it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from remediate.adapters.hosts.whole import WATCHED
from remediate.adapters.whole import Looking
from remediate.errors import Exit, InputError, Refused, RemediateError
from remediate.lab.hosts import Hosts
from remediate.lab.locks import locked
from remediate.model.base import State
from remediate.model.plan import Plan
from remediate.model.proof import Case, CaseResult, Difference, Ending, Moment, Proof
from remediate.model.step import StepClass
from remediate.model.target import Target
from remediate.planning.load import find_runbook
from remediate.service.folders import private
from remediate.service.planning import make_plan
from remediate.service.project import Project, load_extensions
from remediate.service.proof.cases import announcement, cases, irreversible
from remediate.service.proof.looking import Whole
from remediate.service.proof.sandbox import TICKET, Sandbox, Steady, strict
from remediate.service.proof.targets import lab_hosts
from remediate.service.proof.trial import Ran, run


@dataclass(frozen=True)
class Asked:
    """What is to be proved, and how thoroughly.

    Args:
        runbook: its name on the command line.
        settings: inputs as ``key=value``.
        steps, moments: only these; empty for all.
        watch: more folders on hosts.
        keep: where journals, tickets and logs of the runs stay; None: nowhere.
    """

    runbook: str
    settings: Sequence[str] = ()
    inventory: Path | None = None
    limit: str | None = None
    steps: Sequence[str] = ()
    moments: Sequence[Moment] = ()
    watch: Sequence[str] = ()
    keep: Path | None = None


@dataclass(frozen=True)
class Audience:
    """Who watches a proof, and who may stop it between two cases."""

    say: Callable[[str], None] = lambda _: None
    done: Callable[[int, int, CaseResult], None] = lambda *_: None
    interrupted: Callable[[], bool] = lambda: False


def prove(project: Project, asked: Asked, audience: Audience, lab: Hosts) -> Proof:
    """Prove a runbook's rollback. Only hosts that may be broken are ever touched.

    Raises:
        InputError: unknown runbook, input or step.
        Refused: a host is neither the lab's nor declared disposable, or is in use by a run.
        StepFailed: a host can't be read.
    """
    load_extensions()
    project = Steady(project.config, project.clock)
    hosts = _hosts(project, asked)
    ours = lab_hosts(project, lab, hosts)
    _refuse_busy(project, hosts)
    with _folder(asked.keep) as folder, _alone(lab, ours, audience):
        return _Proving(project, asked, audience, lab, ours, Sandbox(project, folder)).all()


def _hosts(project: Project, asked: Asked) -> list[Target]:
    """Everything that the runbook would change or act through; read from the inventory alone."""
    runbook = find_runbook(asked.runbook, project.config.runbooks, project.root).runbook
    source = project.inventory(asked.inventory)
    names = [*source.select(runbook.targets, asked.limit)]
    names += source.select(runbook.peers) if runbook.peers else ()
    if not names:
        raise Refused("no targets", "a proof of nothing proves nothing")
    return list(project.reached(source.targets(list(dict.fromkeys(names)))))


def _refuse_busy(project: Project, hosts: Sequence[Target]) -> None:
    if not project.config.journal_path.exists():
        return
    names = {h.name for h in hosts}
    if held := [lock for lock in project.journal.locks() if lock.target in names]:
        text = ", ".join(f"{lock.target} (run {lock.run})" for lock in held)
        raise Refused(f"in use by a run: {text}", "finish or abort it first")


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        # Short: sockets lie below it.
        with TemporaryDirectory(prefix="proof-") as folder:
            yield Path(folder)
        return
    if keep.exists() and any(keep.iterdir()):
        raise InputError(f"{keep} is not empty", "name a new folder")
    yield private(keep.absolute())


@contextmanager
def _alone(lab: Hosts, ours: Sequence[str], audience: Audience) -> Iterator[None]:
    """Two proofs at the same time would each see what the other breaks."""
    if not ours:
        yield
        return
    with locked(lab.layout.home / "proof.lock", audience.say):
        yield


@dataclass
class _Proving:
    """One proof, case after case."""

    project: Project
    asked: Asked
    audience: Audience
    lab: Hosts
    ours: Sequence[str]
    sandbox: Sandbox
    results: list[CaseResult] = field(default_factory=list)
    stopped: str = ""
    number: int = 0

    @property
    def looking(self) -> Looking:
        """The project's own wishes and the command's."""
        section = self.project.config.proof
        return Looking((*map(str, section.watch), *self.asked.watch), section.ignore)

    def all(self) -> Proof:
        """Every case, until one leaves behind what nothing here can mend."""
        plan = self._plan()
        chosen = cases(plan, self.asked.steps, self.asked.moments)
        self.audience.say(announcement(plan, chosen))
        whole = Whole(self.project, plan, self.looking)
        before: Mapping[str, State] = whole.read()
        for case in chosen:
            if self.audience.interrupted():
                self.stopped = "interrupted"
            if self.stopped:
                break
            with self._mending():
                result, now = self._case(plan, whole, before, case)
            self.results.append(result)
            self.audience.done(len(self.results), len(chosen), result)
            if result.ending is Ending.NOT_BROKEN:
                self.stopped = f"the run failed by itself: {result.why}"
            if now is not None:
                before = now
            elif self._mended(case, result.differences):
                plan = self._plan()
                whole = Whole(self.project, plan, self.looking)
                before = whole.read()
        return Proof(
            runbook=plan.runbook.name,
            inputs=plan.inputs,
            targets=tuple(plan.by_name),
            watched=(*WATCHED, *self.looking.watch),
            results=tuple(self.results),
            left_out=len(chosen) - len(self.results),
            stopped=self.stopped,
        )

    @contextmanager
    def _mending(self) -> Iterator[None]:
        """What ends in the middle of a case leaves hosts of the lab as they were built."""
        try:
            yield
        except BaseException:
            if self.ours:
                self.lab.reset(self.audience.say, self.ours)
            raise

    def _plan(self) -> Plan:
        """Made anew: after a reset a host has new keys and certificates."""
        self.number += 1
        asked = self.asked
        made = make_plan(
            self.sandbox.project(f"p{self.number}"),
            asked.runbook,
            ticket=TICKET,
            settings=asked.settings,
            inventory=asked.inventory,
            limit=asked.limit,
            progress=self.audience.say,
        )
        return strict(made)

    def _case(
        self, plan: Plan, whole: Whole, before: Mapping[str, State], case: Case
    ) -> tuple[CaseResult, Mapping[str, State] | None]:
        """The result, and how all hosts are now if that is as before."""
        began = time.monotonic()
        if why := irreversible(plan, case):
            return CaseResult(case=case, ending=Ending.IRREVERSIBLE, exit_code=0, why=why), before
        self.number += 1
        ran = run(self.sandbox, f"c{self.number}", plan, case)
        try:
            now, different = whole.compare(before)
        except RemediateError as error:
            now, different = {}, ()
            ran = Ran(Exit.NEEDS_HUMAN, ran.struck, f"{ran.why}; then {error.problem}", ran.log, ran.seconds)
        result = CaseResult(
            case=case,
            ending=_ending(plan, case, ran, different),
            exit_code=ran.code,
            why=ran.why,
            differences=different,
            log=ran.log,
            seconds=round(time.monotonic() - began, 1),
        )
        clean = not different and ran.code == Exit.ROLLED_BACK
        return result, now if clean else None

    def _mended(self, case: Case, different: Sequence[Difference]) -> bool:
        """Whether the lab could put back what the runbook did not."""
        names = sorted({d.target for d in different} | {case.target})
        if foreign := [n for n in names if n not in self.ours]:
            self.stopped = f"{', '.join(foreign)}: only the lab can put hosts back"
            return False
        self.audience.say(f"putting back {', '.join(names)}")
        try:
            self.lab.reset(self.audience.say, names)
        except (RemediateError, OSError) as error:
            self.stopped = f"the lab could not be put back: {error}"
            return False
        return True


def _ending(plan: Plan, case: Case, ran: Ran, different: Sequence[Difference]) -> Ending:
    if not ran.struck:
        return Ending.NOT_BROKEN
    if ran.code == Exit.ROLLED_BACK and not different:
        return Ending.RESTORED
    opaque = case.step and plan.steps[plan.step_index[case.step]].step_class is StepClass.OPAQUE
    if opaque and case.moment is Moment.DURING and ran.code == Exit.NEEDS_HUMAN:
        return Ending.IRREVERSIBLE
    return Ending.NOT_RESTORED
