"""Guards that bring each run to an end."""

from tests.mutations.guard import Guard

_BOUNDS = "engine/test_bounds.py"

GUARDS = [
    Guard(
        "L1",
        "an undo is tried a bounded number of times",
        "engine/undo.py",
        "if cell.undo_tries < UNDO_TRIES or cell.undo is Phase.INTENDED or waiting:",
        "if True:",
        f"{_BOUNDS}::test_an_undo_that_always_fails",
    ),
    Guard(
        "L1",
        "an undo in doubt is waited for no longer than the plan's patience",
        "engine/undo.py",
        "waiting = cell.undo is Phase.DOUBT and now - cell.undo_since < state.plan.doubt_patience",
        "waiting = cell.undo is Phase.DOUBT",
        f"{_BOUNDS}::test_an_undo_of_which_no_word_ever_comes",
    ),
    Guard(
        "L1",
        "a step in doubt is probed no longer than the plan's patience",
        "engine/undo.py",
        "return cell.probes > 0 and now - cell.doubt_since >= state.plan.doubt_patience",
        "return False",
        f"{_BOUNDS}::test_a_doubt_that_nothing_settles",
    ),
    Guard(
        "L1",
        "a target that can't be read is undone no longer than the plan's patience",
        "engine/undo.py",
        "    if target.unread and now - target.unread_since >= state.plan.doubt_patience:\n"
        '        return f"{step.title}: the',
        '    if False:\n        return f"{step.title}: the',
        f"{_BOUNDS}::test_a_target_that_goes_away_before_its_undo",
    ),
    Guard(
        "L1",
        "a target is read back no longer than the plan's patience",
        "engine/machine.py",
        "if target.unread and now - target.unread_since >= state.plan.doubt_patience:",
        "if False:",
        f"{_BOUNDS}::test_a_target_that_goes_away_before_its_end",
    ),
    Guard(
        "L1",
        "an undo that is held back is not tried for ever",
        "engine/undo.py",
        "if cell.undo is Phase.HELD:",
        "if False:",
        f"{_BOUNDS}::test_an_undo_that_somebody_else_stands_in_the_way_of",
    ),
    Guard(
        "L1",
        "a step that fails is begun as often as the plan says",
        "engine/fold.py",
        "if phase is Phase.FAILED and not (may_retry(step.step_class) and cell.attempt <= step.retries):",
        "if phase is Phase.FAILED and not may_retry(step.step_class):",
        f"{_BOUNDS}::test_a_step_that_always_fails",
    ),
    Guard(
        "L1",
        "a step whose attempts leave no trace is begun a bounded number of times",
        "engine/fold.py",
        "again = may_retry(step.step_class) and cell.attempt <= max(step.retries, 1)",
        "again = may_retry(step.step_class)",
        f"{_BOUNDS}::test_a_step_of_which_no_trace_is_ever_found",
    ),
    Guard(
        "L1",
        "a target that was not as approved is not inspected for ever",
        "engine/fold.py",
        "        state.fail(body.target, body.difference)\n\n\n@_fold.register\ndef _(body: Intent,",
        "        pass\n\n\n@_fold.register\ndef _(body: Intent,",
        f"{_BOUNDS}::test_a_target_that_is_not_as_approved",
    ),
    Guard(
        "L1",
        "tries that fail wait longer and longer",
        "engine/undo.py",
        "return min(_SETTLE_TIME * 2.0 ** min(tries, 10), _LONGEST_WAIT)",
        "return _SETTLE_TIME",
        f"{_BOUNDS}::test_a_target_that_stays_away_is_not_asked_all_the_time",
    ),
]
