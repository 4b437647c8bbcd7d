"""Use case: prove that a runbook's rollback puts everything back, by breaking it at every step."""
