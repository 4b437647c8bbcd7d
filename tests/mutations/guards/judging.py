"""Guards of what judges a run afterwards: signed words, the audit, the checker's rules."""

from tests.mutations.guard import Guard

_WORDS = "service/test_words.py"
_CASES = "checker/test_rules.py::test_a_record_that_contradicts_it"
_OTHERS = "checker/test_rules.py::test_what_others_hold_contradicts_it"

#: A promise, the rule that judges it, and the test of that.
_RULES = (
    ("V1", "approval.only_what_was_approved", _CASES),
    ("V2", "approval.never_on_drift", _CASES),
    ("V3", "approval.inside_the_window", "checker/test_rules.py::test_forward_outside_the_window"),
    ("V4", "approval.backed_up_before", _CASES),
    ("V5", "recovery.intents_first", _CASES),
    ("V6", "recovery.one_sequence", _CASES),
    ("V7", "recovery.one_decision", _CASES),
    ("V8", "recovery.no_blind_repeat", _CASES),
    ("V9", "way_back.nothing_of_others", _CASES),
    ("V10", "ending.every_target_ends", _CASES),
    ("V11", "way_back.in_reverse", _CASES),
    ("V12", "ending.nothing_is_no_success", _CASES),
    ("V13", "outside.told_once_in_order", _OTHERS),
    ("V14", "outside.as_witnessed", _OTHERS),
    ("V15", "outside.no_secret", _OTHERS),
    ("L1", "bounds.it_ends", _CASES),
)

GUARDS = [
    Guard(
        "V1",
        "an audit finds an approval that nobody can show",
        "service/auditing.py",
        "        if person not in approved:\n",
        "        if False:\n",
        f"{_WORDS}::test_what_nobody_did_is_found[approval]",
    ),
    Guard(
        "V1",
        "a denial says why",
        "service/approving.py",
        "    if not comment.strip():\n",
        "    if False:\n",
        f"{_WORDS}::test_a_denial_says_why",
    ),
    Guard(
        "V7",
        "only what is in doubt is decided",
        "service/approving.py",
        "    if (step, target) not in loaded.doubts:\n",
        "    if False:\n",
        f"{_WORDS}::test_only_what_waits_for_a_human_is_decided",
    ),
    Guard(
        "V7",
        "an audit finds a decision that nobody signed",
        "service/auditing.py",
        "            yield from _decision(project, loaded, event, event.body)\n",
        "            pass\n",
        f"{_WORDS}::test_what_nobody_did_is_found[word]",
    ),
    Guard(
        "V9",
        "only an undo that waits for a human may overwrite",
        "service/approving.py",
        "    if (step, target) not in held:\n",
        "    if False:\n",
        f"{_WORDS}::test_only_what_waits_for_a_human_is_decided",
    ),
    Guard(
        "V10",
        "only a target that waits for a human is accepted as it is",
        "service/approving.py",
        "    if loaded.state.finished is None or target not in held:\n",
        "    if False:\n",
        f"{_WORDS}::test_only_what_waits_for_a_human_is_decided",
    ),
    Guard(
        "V14",
        "an audit finds an end that was cut off",
        "checker/outside.py",
        "    if told > end:\n",
        "    if False:\n",
        f"{_WORDS}::test_what_nobody_did_is_found[end]",
    ),
    Guard(
        "V14",
        "an audit finds a run of which only its ticket tells",
        "service/auditing.py",
        "        if name not in known:\n            yield (",
        "        if False:\n            yield (",
        f"{_WORDS}::test_what_nobody_did_is_found[run]",
    ),
    *(
        Guard(
            promise,
            f"an audit judges {promise} ({rule.partition('.')[2].replace('_', ' ')})",
            "checker/__init__.py",
            f'"{promise}": {rule},',
            f'"{promise}": lambda _: iter(()),',
            test,
        )
        for promise, rule, test in _RULES
    ),
]
