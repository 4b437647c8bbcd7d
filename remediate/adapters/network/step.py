"""What the steps of this folder share: a change of lines that a timer guards, and how it is taken back."""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from remediate.adapters.checks.asking import ask
from remediate.adapters.network.backup import DeviceConfig
from remediate.adapters.network.config import Edit, difference, merged, missing, parse, path_to, sections
from remediate.adapters.network.device import SDKS, Config, Device, Rejected, connect, fresh
from remediate.adapters.network.keys import CONFIG
from remediate.adapters.network.store import Store
from remediate.adapters.network.timer import Timer, TimerState, timer_for, timer_name
from remediate.adapters.network.unchanged import note_state
from remediate.errors import StepFailed
from remediate.model.base import Duration, State
from remediate.model.plan import PlannedCheck
from remediate.model.step import (
    Check,
    CheckResult,
    Context,
    Estimate,
    Probe,
    Result,
    Step,
    StepClass,
    Verdict,
)

#: A line of these kinds can't change the way that packets take. Every other one might.
_HARMLESS = re.compile(r"^(?:no )?(?:description|banner|hostname|logging|log|snmp-server|ntp|clock|alias)\b")


class ConfigStep(Step):
    """Lines of configuration, entered, verified over a new session, and then saved.

    ``cuts_path`` says whether the change may cut the way to the device; default: everything may but a few
    kinds of line. Then a timer on the device guards it (``revert="auto"``) and takes it back after
    ``revert_after``, unless a new session has read it and all checks of ``verify`` hold. ``save`` makes it
    survive a reboot.
    """

    default_estimate: ClassVar[Estimate] = Estimate(apply=20.0, verify=20.0, undo=30.0)
    sdks: ClassVar[tuple[str, ...]] = SDKS

    cuts_path: bool | None = None
    revert: Literal["auto", "timer", "none"] = "auto"
    revert_after: Duration = Field(default=60.0, ge=5.0, le=3600.0)
    save: bool = True
    proof: tuple[PlannedCheck, ...] = ()
    """The checks of ``verify`` again, to be asked before the timer is stopped. Filled in by itself."""

    @model_validator(mode="before")
    @classmethod
    def _prove_by_verification(cls, fields: object) -> object:
        if isinstance(fields, dict) and fields.get("verify") and not fields.get("proof"):
            proof = [PlannedCheck(kind=c.kind, params=c.model_dump(mode="json")) for c in fields["verify"]]
            return {**fields, "proof": proof}
        return fields

    @abstractmethod
    def wanted(self, context: Context, device: Device) -> list[Edit]:
        """The lines, in order."""

    @abstractmethod
    def may_cut(self) -> bool:
        """Whether the way to the device may be cut, as far as the plan can tell."""

    @property
    def guarded(self) -> bool:
        """Whether a timer takes it back."""
        return self.revert == "timer" or (self.revert == "auto" and self.may_cut())

    @property
    def step_class(self) -> StepClass:  # type: ignore[override]
        """Self-reverting where a timer guards it."""
        return StepClass.SELF_REVERTING if self.guarded else StepClass.STATE_BASED

    @property
    def undoable(self) -> bool:
        """By the inverse lines."""
        return True

    @property
    def seconds(self) -> int:
        """Until the timer fires: long enough for the checks that are asked before it is stopped."""
        return math.ceil(self.revert_after + self.waits)

    @property
    def waits(self) -> float:
        """Seconds that the checks may take until they are right."""
        return sum(check.build().within for check in self.proof)

    def checks(self) -> tuple[Check, ...]:
        """What has to hold before the change may stay."""
        return tuple(check.build() for check in self.proof)

    def protection(self) -> tuple[Step, ...]:
        """The whole configuration."""
        return (DeviceConfig(),)

    def observe(self, context: Context) -> State:
        """The running configuration. A timer that can't be had shows here, before anybody approves."""
        device = connect(context)
        if self.guarded:
            timer_for(context, device)
        return _facts(device, device.running())

    def preview(self, context: Context) -> str:
        """A diff, and what guards it."""
        device = connect(context)
        now = device.running()
        text = difference(
            now.tree, merged(now.tree, self.wanted(context, device), device.platform), device.platform
        )
        if text and self.guarded:
            label = timer_for(context, device).label
            text += f"taken back after {self.seconds} s unless a new session confirms it; {label}\n"
        return text

    def apply(self, context: Context) -> Result:
        """Arm, then change. Whether it stays is decided in `confirm`, over a new session."""
        device = connect(context)
        before = device.running()
        wanted = self.wanted(context, device)
        note_state(context, self.proof)
        if not missing(before.tree, wanted, device.platform):
            return Result(changed=False, summary="it was so already")
        store = Store.of(context)
        if store.get("before.conf") is None:
            # An earlier attempt may have entered some of the lines already.
            store.keep("before.conf", before.text)
        name, timer, seconds = timer_name(context.token), None, 0
        if self.guarded:
            timer = timer_for(context, device)
            timer.arm(before.text, self.seconds)
            seconds = self.seconds if timer.native else 0
        try:
            said = device.configure(wanted, before, name, seconds)
        except Rejected as error:
            if error.back and timer is not None:
                timer.stop()
            raise
        data = {"timer": name} if self.guarded else {"timer": ""}
        return Result(summary=f"{_count(wanted)} entered", detail=said, data={**data})

    def confirm(self, context: Context) -> tuple[CheckResult, ...]:
        """Over a new session: lines and checks. Only if all is right is the timer stopped, and all saved."""
        with fresh(context) as anew:
            device = connect(anew)
            now = device.running()
            results = [self._shown(device, now, self.wanted(anew, device))]
            results += [ask(check, anew) for check in self.checks()]
            if all(r.ok for r in results) and self.guarded:
                results.append(_stopped(timer_for(anew, device)))
            if all(r.ok for r in results):
                Store.of(context).keep("after.conf", now.text)
                results += self._saved(context, device)
        return tuple(results)

    def _shown(self, device: Device, now: Config, wanted: Sequence[Edit]) -> CheckResult:
        lacking = missing(now.tree, wanted, device.platform)
        return CheckResult(
            title="the running configuration shows the change",
            ok=not lacking,
            expected=f"{_count(wanted)} as written",
            actual=f"without: {'; '.join(map(str, lacking[:5]))}" if lacking else _count(wanted),
        )

    def _saved(self, context: Context, device: Device) -> list[CheckResult]:
        if not (self.save and device.platform.save):
            return []
        # First the note: an undo must know that it may have been saved.
        Store.of(context).keep("saved", "")
        said = device.save() or "no objection"
        return [CheckResult(title="saved for the next boot", ok=True, expected="saved", actual=said)]

    def quiesce(self, context: Context) -> bool:
        """In doubt, wait until the timer is over. If the attempt is known to have ended, the timer is no part
        of it: verification stops it, or the undo."""
        if not self.guarded or context.data:
            return True
        return timer_for(context, connect(context)).state() not in (TimerState.ARMED, TimerState.FIRING)

    def probe(self, context: Context) -> Probe:
        """By the configuration; and by what the timer says."""
        device = connect(context)
        now = device.running()
        evidence = ""
        if self.guarded:
            evidence = f"; the device's timer {timer_for(context, device).state().value}"
        if _facts(device, now) == {CONFIG: context.before.get(CONFIG)}:
            return Probe(verdict=Verdict.NOT_APPLIED, evidence=f"the configuration is as before{evidence}")
        lacking = missing(now.tree, self.wanted(context, device), device.platform)
        if not lacking:
            return Probe(verdict=Verdict.APPLIED, evidence=f"the configuration shows all lines{evidence}")
        shown = f"the configuration lacks {lacking[0]}{evidence}"
        return Probe(verdict=Verdict.PARTIAL, evidence=shown)

    def undo(self, context: Context) -> Result:
        """Enter the inverse lines: what this step changed goes back, and nothing else."""
        device, store = connect(context), Store.of(context)
        before = store.get("before.conf")
        if before is None:
            return Result(changed=False, summary="nothing was entered")
        now, then = device.running(), parse(before, device.platform)
        changed = now.text != before
        if changed:
            after = store.get("after.conf")
            if after is not None and now.text != after:
                raise StepFailed(f"{device.name}: someone else changed a line that this run does not show")
            device.go_back(now.tree, then, timer_name(context.token))
        fired = self._end_timer(context, device)
        if changed:
            self._check_back(device, before)
        if store.get("saved") is not None:
            device.save()
        how = "went back line by line" if changed else "it was as before already"
        return Result(changed=changed, summary=how + fired)

    def _end_timer(self, context: Context, device: Device) -> str:
        """Nothing of it stays on the device; says whether it fired."""
        if not self.guarded:
            return ""
        timer = timer_for(context, device)
        state = timer.stop()
        timer.forget()
        return "" if state is TimerState.GONE else f"; the device's timer {state.value}"

    def _check_back(self, device: Device, before: str) -> None:
        left = list(path_to(device.running().tree, parse(before, device.platform), device.platform))
        if left:
            raise StepFailed(f"{device.name}: after the undo it still lacks {left[0]}", "see the backup")

    def release(self, context: Context) -> Result:
        """Delete the copies, here and on the device."""
        if self.guarded:
            timer_for(context, connect(context)).forget()
        there = Store.of(context).discard()
        return Result(changed=there, summary="the copies are deleted" if there else "nothing was kept")


def cuts(edits: Sequence[Edit]) -> bool:
    """Whether one of these lines may change the way that packets take."""
    return any(not _HARMLESS.match(edit.line) for edit in edits)


def _count(wanted: Sequence[Edit]) -> str:
    return f"{len(wanted)} line{'s' * (len(wanted) != 1)}"


def _facts(device: Device, config: Config) -> State:
    return {CONFIG: {**sections(config.tree, device.platform)}}


def _stopped(timer: Timer) -> CheckResult:
    found = timer.stop()
    ok = found is TimerState.GONE
    actual = "stopped by a new session" if ok else f"it {found.value}"
    return CheckResult(title="the device's timer", ok=ok, expected="stopped before it fired", actual=actual)
