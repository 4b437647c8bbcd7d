"""What this program knows of each kind of device: one entry per platform, and no `if` anywhere else.

Sources: the vendors' command references (Cisco IOS *Configuration Replace and Configuration Rollback*, Arista
EOS *Configuration Sessions*, Junos *Commit Operation*, FRR *VTY shell*). An entry only holds commands and
patterns; what is done with them is the same for all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from remediate.errors import InputError
from remediate.model.target import Target

#: A line like ``%SYS-5-CONFIG_I: …`` is no answer: the device logs to the terminal.
_CISCO_REJECTS = (
    r"^\s*%(?!\s*Warning)(?![A-Z0-9_]+-(?:[A-Z0-9_]+-)?\d-)",
    r"^\s*\^\s*$",
    r"^(?:ERROR|Error|error):",
    r"^(?:Invalid (?:input|command)|Incomplete command|Ambiguous command)",
    # Someone else is in configuration mode, and wants to be alone there.
    r"(?i)^(?:vty )?configuration (?:mode )?(?:is )?locked",
)
_CISCO_SECRETS = (
    r"\b(?:password|secret|key-string|(?<!-)key|community|pre-shared-key|authentication-key)\s+(?:\d+\s+)?(\S+)",
    r"\bmessage-digest-key \d+ md5\s+(?:\d+\s+)?(\S+)",
)


@dataclass(frozen=True, slots=True)
class Revert:
    """How a device takes a change back by itself. In commands ``{name}`` is the attempt, ``{minutes}`` and
    ``{clock}`` (``hh:mm:ss``) are the time until then.

    ``begin`` and ``commit`` take the place of the platform's own; ``keep`` confirms, from a new session.
    ``armed`` is found in what ``status`` says for as long as the timer runs.
    """

    label: str
    begin: tuple[str, ...] = ()
    commit: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    status: str = ""
    armed: str = ""
    granularity: int = 1
    """Seconds; times are rounded up to it."""


@dataclass(frozen=True, slots=True)
class Platform:
    """Commands and patterns of one kind of device.

    Args:
        name: what inventories call it (`network_platform`).
        netmiko: the device type whose login, paging and prompts netmiko knows.
        show: prints the running configuration; ``whole`` matches the last line of a complete answer.
        begin, commit, abort: around lines of configuration. ``abort`` leaves without effect where there is a
            candidate, and is the same as ``commit`` where each line takes effect at once.
        candidate: whether nothing takes effect before ``commit``.
        compare: shows the candidate's difference, before ``commit``.
        save: makes the running configuration the one that the device boots with; empty where it always is.
        saved: found in what a successful ``save`` says; empty where no refusal has to do.
        negate: the word that takes a line back.
        flat: each line stands for itself (``set …``); otherwise indentation makes blocks.
        volatile: lines that change by themselves.
        rejects: lines of an answer which say that a command was not accepted.
        secrets: patterns whose first group must be shown to nobody.
        templates: the platform's name in ntc-templates; empty where the device gives JSON.
        revert: the timer that takes a change back, if there is one.
    """

    name: str
    netmiko: str
    show: str
    whole: str
    begin: tuple[str, ...] = ("configure terminal",)
    commit: tuple[str, ...] = ("end",)
    abort: tuple[str, ...] = ("end",)
    candidate: bool = False
    compare: str = ""
    save: tuple[str, ...] = ("write memory",)
    saved: str = ""
    negate: str = "no"
    flat: bool = False
    volatile: tuple[str, ...] = ()
    noise: tuple[str, ...] = (r"!.*", r"exit(?:-[a-z-]+)?", r"end")
    rejects: tuple[str, ...] = _CISCO_REJECTS
    secrets: tuple[str, ...] = _CISCO_SECRETS
    templates: str = ""
    revert: Revert | None = None
    aliases: tuple[str, ...] = field(default=())

    def rejected(self, answer: str) -> str:
        """The first line which says that the command was not accepted; empty if there is none."""
        lines = answer.splitlines()
        return next((line.strip() for line in lines for p in self.rejects if re.search(p, line)), "")


FRR = Platform(
    name="frr",
    netmiko="cisco_ios",
    show="show running-config",
    whole=r"^end$",
    volatile=(r"Building configuration\.\.\.", r"Current configuration:.*", r"frr version .*"),
    saved=r"Configuration saved to|\[OK\]",
    # vtysh hands a line to several daemons; each may refuse in words of its own.
    rejects=(*_CISCO_REJECTS, r"^(?:Failed to|Configuration failed|Error type:|YANG error)"),
    revert=Revert("an emulated timer: systemd on the device reloads the saved configuration"),
    aliases=("frr.frr.frr",),
)
IOS = Platform(
    name="ios",
    netmiko="cisco_ios",
    show="show running-config",
    whole=r"^end$",
    volatile=(
        r"Building configuration\.\.\.",
        r"Current configuration : \d+ bytes",
        r"ntp clock-period \d+",
        r"! (?:Last configuration change|NVRAM config last updated|No configuration change).*",
    ),
    saved=r"\[OK\]",
    templates="cisco_ios",
    revert=Revert(
        "the device's own timer: configure terminal revert timer",
        begin=("configure terminal revert timer {minutes}",),
        commit=("end",),
        keep=("configure confirm",),
        status="show archive config rollback timer",
        armed=r"(?i)time configured|timer will expire|rollback confirmed change",
        granularity=60,
    ),
    aliases=("cisco.ios.ios",),
)
IOS_XE = Platform(
    name="iosxe",
    netmiko="cisco_xe",
    show=IOS.show,
    whole=IOS.whole,
    volatile=IOS.volatile,
    saved=IOS.saved,
    templates=IOS.templates,
    revert=IOS.revert,
    aliases=("cisco_xe",),
)
NX_OS = Platform(
    name="nxos",
    netmiko="cisco_nxos",
    show="show running-config",
    # Nothing ends it; two equal reads have to do.
    whole="",
    save=("copy running-config startup-config",),
    saved=r"Copy complete",
    volatile=(r"!(?:Command|Running configuration last done|Time):.*", r"!.* configuration last done at:.*"),
    templates="cisco_nxos",
    aliases=("cisco.nxos.nxos",),
)
EOS = Platform(
    name="eos",
    netmiko="arista_eos",
    show="show running-config",
    whole=r"^end$",
    begin=("configure session {name}",),
    commit=("commit",),
    abort=("abort",),
    candidate=True,
    compare="show session-config diffs",
    saved=r"Copy completed successfully",
    volatile=(r"! Command: .*", r"! device: .*", r"! boot system .*"),
    templates="arista_eos",
    revert=Revert(
        "the device's own timer: commit timer",
        begin=("configure session {name}",),
        commit=("commit timer {clock}",),
        keep=("configure session {name} commit",),
        status="show configuration sessions",
        armed=r"pendingCommitTimer|(?i:pending commit timer)",
    ),
    aliases=("arista.eos.eos",),
)
JUNOS = Platform(
    name="junos",
    netmiko="juniper_junos",
    show="show configuration | display set | no-more",
    whole="",
    begin=("configure exclusive",),
    commit=("commit comment {name} and-quit",),
    abort=("rollback 0", "exit"),
    candidate=True,
    compare="show | compare",
    save=(),
    negate="delete",
    flat=True,
    noise=(r"\{(?:master|backup|linecard|primary|secondary).*\}", r"\[edit.*\]", r"#.*"),
    volatile=(r"## Last (?:changed|commit): .*",),
    rejects=(
        r"^\s*\^\s*$",
        r"^(?:error|warning: statement not found)\b",
        r"^(?:unknown command|syntax error|missing argument|invalid )",
    ),
    secrets=(
        r"\b(?:encrypted-password|authentication-key|pre-shared-key (?:ascii-text|hexadecimal)|secret"
        r"|community)\s+(\S+)",
    ),
    templates="juniper_junos",
    revert=Revert(
        "the device's own timer: commit confirmed",
        begin=("configure exclusive",),
        commit=("commit confirmed {minutes} comment {name} and-quit",),
        keep=("configure exclusive", "commit comment {name}-kept and-quit"),
        status="show system commit",
        armed=r"rollback in \d+",
        granularity=60,
    ),
    aliases=("junipernetworks.junos.junos",),
)

PLATFORMS = {platform.name: platform for platform in (FRR, IOS, IOS_XE, NX_OS, EOS, JUNOS)}
_BY_ALIAS = {alias: p for p in PLATFORMS.values() for alias in (p.name, *p.aliases)}


def platform_of(target: Target) -> Platform:
    """The platform of a target: its variable `network_platform`, else `ansible_network_os`.

    Raises:
        InputError: neither is set to one that is known.
    """
    named = target.vars.get("network_platform") or target.vars.get("ansible_network_os")
    platform = _BY_ALIAS.get(str(named))
    if platform is None:
        what = "no platform is set" if named is None else f"the platform {named!r} is not known"
        raise InputError(
            f"{target.name}: {what}",
            f"set network_platform in the inventory to one of {', '.join(PLATFORMS)}",
        )
    return platform


def filled(commands: Sequence[str], name: str = "", seconds: int = 0) -> tuple[str, ...]:
    """Commands with the attempt's name and the timer's time in them."""
    minutes, clock = -(-seconds // 60), f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    values = {"{name}": name, "{minutes}": str(minutes), "{clock}": clock}

    def fill(command: str) -> str:
        for key, value in values.items():
            command = command.replace(key, value)
        return command

    return tuple(map(fill, commands))
