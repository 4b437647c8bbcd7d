"""One inventory for every technology: Ansible's, read by Ansible's own commands."""

from remediate.inventory.inventory import Inventory

__all__ = ["Inventory"]
