"""Compiles a runbook to a frozen plan. Reads targets, never changes them."""
