"""Databases: backups that were restored before they count, guarded changes, and an undo that spares others."""
