"""vSphere: snapshots as backups of whole virtual machines, power and hardware changes, over vCenter's API."""
