"""Dumps of SQL databases: taken at one instant, judged by more than an exit code, and loaded elsewhere."""
