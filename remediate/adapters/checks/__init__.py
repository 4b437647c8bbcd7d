"""Checks: read-only questions with an expected answer, and `ask`, which asks them until they are right."""

from remediate.adapters.checks.asking import ask

__all__ = ["ask"]
