"""What runbooks import: the vocabulary of an author, in one place. Nothing inside the package uses it."""

from remediate.adapters.ansible.module import Module
from remediate.adapters.ansible.playbook import Playbook
from remediate.adapters.ansible.step import Watch
from remediate.adapters.backups.command import CommandBackup
from remediate.adapters.backups.database import DatabaseBackup
from remediate.adapters.backups.files import FileBackup
from remediate.adapters.checks.certificate import CertificateIs
from remediate.adapters.checks.command import Command
from remediate.adapters.checks.files import FileIs
from remediate.adapters.checks.http import Http
from remediate.adapters.checks.http_json import HttpJson
from remediate.adapters.checks.jmeter import JMeterPlan
from remediate.adapters.checks.k6 import K6Script
from remediate.adapters.checks.load import Thresholds
from remediate.adapters.checks.locust import LocustFile
from remediate.adapters.checks.log_pattern import LogMark, LogPattern
from remediate.adapters.checks.promql import PromQL
from remediate.adapters.checks.pytest_file import PytestFile
from remediate.adapters.checks.service import ServiceIs
from remediate.adapters.checks.tcp import Tcp
from remediate.adapters.checks.verify import Verify
from remediate.adapters.databases.migration import SqlMigration
from remediate.adapters.databases.mongo_query import MongoQuery
from remediate.adapters.databases.mongo_update import MongoUpdate
from remediate.adapters.databases.query import SqlQuery
from remediate.adapters.databases.replication import ReplicationLag
from remediate.adapters.databases.rows import DataFix, Sql
from remediate.adapters.hosts.backup import HostBackup
from remediate.adapters.hosts.command import RunCommand
from remediate.adapters.hosts.file import File
from remediate.adapters.hosts.package import Package
from remediate.adapters.hosts.pool import PoolMember
from remediate.adapters.hosts.service import Service
from remediate.adapters.network.backup import DeviceConfig
from remediate.adapters.network.change import ConfigLines
from remediate.adapters.network.checks import Interfaces, Neighbors, Ping, Routes, Traffic
from remediate.adapters.network.traffic import MoveTraffic
from remediate.adapters.network.unchanged import StateUnchanged
from remediate.adapters.vmware.power import VmPower
from remediate.adapters.vmware.reconfigure import VmReconfigure
from remediate.adapters.vmware.snapshot import VmSnapshot
from remediate.model.inputs import (
    AbsolutePath,
    DebianPackage,
    DebianVersion,
    Ipv4Prefix,
    ProjectPath,
    UnitName,
)
from remediate.model.runbook import Risk, RiskLevel, Runbook, Scope, Symptom, Waves
from remediate.model.step import Check, Estimate, Step

__all__ = [
    "AbsolutePath",
    "CertificateIs",
    "Check",
    "Command",
    "CommandBackup",
    "ConfigLines",
    "DataFix",
    "DatabaseBackup",
    "DebianPackage",
    "DebianVersion",
    "DeviceConfig",
    "Estimate",
    "File",
    "FileBackup",
    "FileIs",
    "HostBackup",
    "Http",
    "HttpJson",
    "Interfaces",
    "Ipv4Prefix",
    "JMeterPlan",
    "K6Script",
    "LocustFile",
    "LogMark",
    "LogPattern",
    "Module",
    "MongoQuery",
    "MongoUpdate",
    "MoveTraffic",
    "Neighbors",
    "Package",
    "Ping",
    "Playbook",
    "PoolMember",
    "ProjectPath",
    "PromQL",
    "PytestFile",
    "ReplicationLag",
    "Risk",
    "RiskLevel",
    "Routes",
    "RunCommand",
    "Runbook",
    "Scope",
    "Service",
    "ServiceIs",
    "Sql",
    "SqlMigration",
    "SqlQuery",
    "StateUnchanged",
    "Step",
    "Symptom",
    "Tcp",
    "Thresholds",
    "Traffic",
    "UnitName",
    "Verify",
    "VmPower",
    "VmReconfigure",
    "VmSnapshot",
    "Watch",
    "Waves",
]
