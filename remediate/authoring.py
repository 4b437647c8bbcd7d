"""What runbooks import: the vocabulary of an author, in one place. Nothing inside the package uses it."""

from remediate.adapters.ansible.module import Module
from remediate.adapters.ansible.playbook import Playbook
from remediate.adapters.ansible.step import Watch
from remediate.adapters.checks.command import Command
from remediate.adapters.hosts.backup import HostBackup
from remediate.adapters.hosts.file import File
from remediate.model.inputs import AbsolutePath, DebianPackage, DebianVersion, ProjectPath, UnitName
from remediate.model.runbook import Risk, RiskLevel, Runbook, Scope, Symptom, Waves
from remediate.model.step import Check, Step

__all__ = [
    "AbsolutePath",
    "Check",
    "Command",
    "DebianPackage",
    "DebianVersion",
    "File",
    "HostBackup",
    "Module",
    "Playbook",
    "ProjectPath",
    "Risk",
    "RiskLevel",
    "Runbook",
    "Scope",
    "Step",
    "Symptom",
    "UnitName",
    "Watch",
    "Waves",
]
