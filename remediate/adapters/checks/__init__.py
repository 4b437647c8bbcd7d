"""Checks: read-only questions with an expected answer."""
