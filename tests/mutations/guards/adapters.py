"""Guards of adapters: backups, attempts that may be at work, answers that prove nothing."""

from tests.mutations.guard import Guard

_BACKUP = "adapters/hosts/test_backup.py"
_ANSIBLE = "adapters/ansible/test_step.py"
_CHECKS = "adapters/checks"

GUARDS = [
    Guard(
        "V4",
        "a backup whose list was touched is not used",
        "adapters/hosts/vault.py",
        "        if sha256(data) != digest:\n",
        "        if False:\n",
        f"{_BACKUP}::test_a_backup_that_was_touched_is_not_used[tamper_manifest]",
    ),
    Guard(
        "V4",
        "a backup whose bytes were touched is not used",
        "adapters/hosts/vault.py",
        "        if sha256(content) != digest:\n",
        "        if False:\n",
        f"{_BACKUP}::test_a_backup_that_was_touched_is_not_used[tamper_content]",
    ),
    Guard(
        "V4",
        "a backup is compared with its source",
        "adapters/hosts/backup.py",
        "        self._compare(client, restore)\n",
        "",
        f"{_BACKUP}::test_a_file_that_changes_meanwhile_is_noticed",
    ),
    Guard(
        "V4",
        "a backup that nobody noted is made again",
        "adapters/hosts/backup.py",
        'if context.data.get("manifest") == vault.digest():',
        "if vault.digest():",
        f"{_BACKUP}::test_probe_knows_an_unfinished_backup",
    ),
    Guard(
        "V8",
        "every attempt may have left something at work",
        "adapters/ansible/dead.py",
        "for n in range(1, last + 1))",
        "for n in range(last, last + 1))",
        f"{_ANSIBLE}::test_the_end_of_every_attempt_is_awaited",
    ),
    Guard(
        "V8",
        "what is still at work is not called over",
        "adapters/ansible/dead.py",
        "        if time.monotonic() > until:\n            return False\n",
        "        if time.monotonic() > until:\n            return True\n",
        f"{_ANSIBLE}::test_the_end_of_every_attempt_is_awaited",
    ),
    Guard(
        "V8",
        "where nobody can look nobody says that it is over",
        "adapters/ansible/dead.py",
        "        # Nobody can look there (WinRM and the like), so nobody can say that it is over.\n"
        "        return False\n",
        "        return True\n",
        f"{_ANSIBLE}::test_where_nobody_can_look_nobody_says_it_is_over",
    ),
    Guard(
        "V12",
        "an empty answer proves nothing",
        "adapters/checks/asking.py",
        "if result.ok and not result.actual.strip():",
        "if False:",
        f"{_CHECKS}/test_asking.py::test_an_empty_answer_proves_nothing",
    ),
    Guard(
        "V12",
        "what was not measured crosses every threshold",
        "adapters/checks/load.py",
        "            if not seen[name] <= limit",
        "            if seen[name] > limit",
        f"{_CHECKS}/test_load.py::test_what_was_not_measured_crosses_every_threshold",
    ),
    Guard(
        "V12",
        "a load test without enough samples has failed",
        "adapters/checks/load.py",
        "        if found.samples < self.samples:\n",
        "        if False:\n",
        f"{_CHECKS}/test_load.py::test_too_few_samples_prove_nothing",
    ),
    Guard(
        "V12",
        "a test file in which no test ran has failed",
        "adapters/checks/pytest_file.py",
        "if counts.passed < 1:",
        "if False:",
        f"{_CHECKS}/test_pytest_file.py::test_exit_code_and_report_must_agree",
    ),
    Guard(
        "V12",
        "a number that is none lies within no bounds",
        "adapters/checks/bounds.py",
        "            math.isfinite(value)\n            and (",
        "            (",
        f"{_CHECKS}/test_bounds.py::test_no_number_lies_within_no_bounds",
    ),
]
