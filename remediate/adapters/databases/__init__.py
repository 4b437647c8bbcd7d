"""Databases: backups that were restored before they count, guarded changes, an undo that spares others."""
