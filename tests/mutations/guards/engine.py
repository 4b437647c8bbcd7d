"""Guards of the engine on its way forward: approved, unchanged, in time, backed up, written down first."""

from tests.mutations.guard import Guard

_MACHINE = "engine/test_machine.py"
_PROMISES = "engine/test_promises.py"

GUARDS = [
    Guard(
        "V1",
        "the approval is asked for again right before each step",
        "engine/perform.py",
        "if reason := self._port.authorise(self._clock()):",
        'if reason := "":',
        f"{_MACHINE}::test_revoked_while_it_runs",
    ),
    Guard(
        "V2",
        "a target is compared with the plan before its first step",
        "engine/perform.py",
        "difference = self._drift(job.known, self._port.inspect(job.target))",
        'difference, _ = "", self._port.inspect(job.target)',
        f"{_MACHINE}::test_drift_before_the_first_step_touches_nothing",
    ),
    Guard(
        "V2",
        "no step begins on a target that was not inspected",
        "engine/forward.py",
        "return state.targets[name].inspected",
        "return True",
        f"{_MACHINE}::test_drift_before_the_first_step_touches_nothing",
    ),
    Guard(
        "V2",
        "a target that can't be read is not as approved",
        "engine/perform.py",
        'difference = f"it can\'t be read: {self._say(error)}"',
        'difference = ""',
        f"{_PROMISES}::test_what_can_not_be_read_is_not_begun",
    ),
    Guard(
        "V2",
        "each step begins on the state that is known",
        "engine/perform.py",
        "elif difference := self._drift(job.known, seen):",
        'elif difference := "":',
        f"{_PROMISES}::test_a_step_is_not_begun_on_what_somebody_changed_meanwhile",
    ),
    Guard(
        "V2",
        "a step is not begun on what can't be read",
        "engine/perform.py",
        "            if isinstance(seen, Exception):\n                held.append(self._held(Verb.APPLY",
        "            if isinstance(seen, Exception):\n                ready.append(job)\n"
        "                before[job.target] = {}\n                continue\n"
        "                held.append(self._held(Verb.APPLY",
        f"{_PROMISES}::test_what_can_not_be_read_is_not_begun",
    ),
    Guard(
        "V2",
        "whoever takes a run over inspects what was not begun",
        "engine/fold.py",
        "        target.inspected = target.inspected and target.touched\n",
        "",
        f"{_PROMISES}::test_after_a_takeover_what_was_not_begun_is_inspected_again",
    ),
    Guard(
        "V3",
        "no forward step without time for itself, its verification and its rollback",
        "engine/forward.py",
        "return [Record(begin(state, (), late))]",
        "pass",
        f"{_MACHINE}::test_point_of_no_return",
    ),
    Guard(
        "V3",
        "the undo of the step itself counts",
        "engine/forward.py",
        "    pairs.add((state.wave, index))\n",
        "",
        f"{_MACHINE}::test_point_of_no_return",
    ),
    Guard(
        "V3",
        "the undo of the steps before it counts",
        "engine/forward.py",
        "    pairs |= {p for p in state.begun if p[0] == state.wave}\n",
        "    pairs = set[tuple[int, int]]()\n",
        f"{_MACHINE}::test_point_of_no_return",
    ),
    Guard(
        "V3",
        "the undo of earlier waves counts",
        "engine/forward.py",
        "pairs = set(state.begun) if state.plan.rollback is Scope.RUN else set[tuple[int, int]]()",
        "pairs = set[tuple[int, int]]()",
        f"{_PROMISES}::test_a_later_wave_needs_time_to_undo_the_earlier_ones",
    ),
    Guard(
        "V3",
        "what a restore took in truth counts instead of its estimate",
        "engine/forward.py",
        "state.measured.get(pair, estimate)",
        "estimate",
        f"{_MACHINE}::test_a_measured_restore_counts_instead_of_its_estimate",
    ),
    Guard(
        "V3",
        "nothing goes forward when the run has turned back",
        "engine/forward.py",
        "if state.stopping or state.paused or",
        "if state.paused or",
        f"{_PROMISES}::test_nothing_goes_forward_once_the_run_turned_back",
    ),
    Guard(
        "V3",
        "a target that rolls back does not go forward",
        "engine/forward.py",
        "state.open = [n for n in wave if not state.targets[n].rolling and not state.targets[n].settled]",
        "state.open = [n for n in wave if not state.targets[n].settled]",
        f"{_PROMISES}::test_a_target_that_rolls_back_does_not_go_forward",
    ),
    Guard(
        "V3",
        "a step that waited for its turn asks once more whether it may",
        "engine/perform.py",
        "        ready = [j for j in ready if self._forward(j.target)]\n",
        "",
        f"{_PROMISES}::test_what_waited_for_its_turn_asks_whether_it_may_still_begin",
    ),
    Guard(
        "V4",
        "a backup is done only when it is verified",
        "engine/undo.py",
        "return cell.phase is Phase.OK and cell.verified is True",
        "return cell.phase is Phase.OK",
        f"{_PROMISES}::test_a_backup_whose_verification_nobody_saw_is_verified",
    ),
    Guard(
        "V5",
        "the intent of a step is durable before its effect",
        "engine/perform.py",
        "        yield [self._intent(Verb.APPLY, step, j, before[j.target]) for j in ready]\n"
        "        outcomes = self._act(Verb.APPLY, step, ready, self._port.apply)\n",
        "        outcomes = self._act(Verb.APPLY, step, ready, self._port.apply)\n"
        "        yield [self._intent(Verb.APPLY, step, j, before[j.target]) for j in ready]\n",
        f"{_PROMISES}::test_every_effect_has_a_durable_intent",
    ),
    Guard(
        "V5",
        "the intent of an undo is durable before its effect",
        "engine/perform.py",
        "        yield intents\n"
        "        return [*held, *self._act(Verb.UNDO, step, ready, self._port.undo)]\n",
        "        done = self._act(Verb.UNDO, step, ready, self._port.undo)\n"
        "        yield intents\n"
        "        return [*held, *done]\n",
        f"{_PROMISES}::test_every_effect_has_a_durable_intent",
    ),
    Guard(
        "V5",
        "without a durable intent there is no effect",
        "engine/runner.py",
        "bodies = next(doing) if problem is None else doing.throw(problem)",
        "bodies = next(doing)",
        f"{_PROMISES}::test_without_a_journal_nothing_is_done",
    ),
    Guard(
        "V5",
        "a journal that can't be written ends the run",
        "engine/runner.py",
        "                raise message.error\n",
        "                pass\n",
        f"{_PROMISES}::test_without_a_journal_nothing_is_done",
    ),
    Guard(
        "V6",
        "a lost lease ends the run, whatever was under way",
        "engine/failure.py",
        "    if isinstance(error, _FATAL):\n        raise error\n",
        "",
        f"{_PROMISES}::test_a_lost_lease_ends_the_run_whatever_was_under_way",
    ),
]
