"""The sections of `remediate.toml`, one class each, with their defaults and units."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, Field, JsonValue, StringConstraints, model_validator

from remediate.model.base import Duration, Frozen


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError, below
        raise ValueError(f"{value!r} is not a time zone (write Europe/Berlin or UTC)") from None
    except KeyError:
        raise ValueError(f"{value!r} is not a known time zone (write Europe/Berlin or UTC)") from None
    return value


TimeZone = Annotated[str, AfterValidator(_zone)]


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Project(Frozen):
    """Where things are. Relative paths start at the project folder."""

    name: str = ""
    """For people: it stands over lists and reports."""
    inventory: Path = Path("inventory")
    runbooks: Path = Path("runbooks")
    state: Path = Path(".remediate")
    plan_expiry: Duration = 7 * 86400.0
    """Seconds after which a plan must be made anew, because what was observed is too old."""


class Ssh(Frozen):
    """How hosts are recognised. Unknown host keys are always refused."""

    known_hosts: Path | None = None
    """The file whose host keys are believed, where the inventory doesn't name another one."""


class Person(Frozen):
    """One human being, under all the names that systems know them by."""

    principals: tuple[Name, ...] = ()
    """Principals in the allowed signers file (ssh-keygen(1), ALLOWED SIGNERS)."""
    logins: tuple[Name, ...] = ()
    """OS logins, ticket logins and e-mail addresses."""
    roles: tuple[Name, ...] = ()


class Rule(Frozen):
    """How many different people with this role have to approve."""

    approvers: int = Field(default=1, ge=1)
    role: str = "change-manager"


class Policy(Frozen):
    """One rule for each risk level, and one more for plans with a step that nothing can undo."""

    low: Rule = Rule()
    medium: Rule = Rule()
    high: Rule = Rule(approvers=2)
    irreversible: Rule = Rule(approvers=2)


class Approval(Frozen):
    """Whose signature counts, for how long, and how many are needed."""

    allowed_signers: Path = Path("allowed_signers")
    revoked_keys: Path | None = None
    """A key revocation list or a file of public keys (ssh-keygen(1), KEY REVOCATION LISTS)."""
    expiry: Duration = 86400.0
    """The longest life of an approval in seconds; a plan with a window may be approved until it ends."""
    decide_roles: tuple[str, ...] = ("change-manager", "engineer")
    """Who may settle a step in doubt."""
    policy: Policy = Policy()


class CalendarSection(Frozen):
    """Change freezes (iCalendar files) and the zone of times that are written without one."""

    freezes: tuple[Path, ...] = ()
    timezone: TimeZone = "UTC"


class TicketSection(BaseModel):
    """The ticket system and one table of settings per system, which its adapter validates."""

    model_config = {"frozen": True, "extra": "allow"}
    __pydantic_extra__: dict[str, dict[str, JsonValue]] = Field(init=False)

    system: str = "file"

    @property
    def settings(self) -> dict[str, JsonValue]:
        """The table of the chosen system; empty when the file has none."""
        return dict((self.__pydantic_extra__ or {}).get(self.system, {}))


class Journal(Frozen):
    """Where the journal is kept."""

    path: Path | None = None
    """Default: ``journal.db`` in the state folder."""


class Audit(Frozen):
    """How the journal vouches for itself on the tickets, and whose word an audit takes for the journal's."""

    key: Path | None = None
    """The key that signs checkpoints. Default: ``journal.key`` beside the journal, made when first needed."""
    signers: Path | None = None
    """An allowed signers file for them. Default: the first checkpoint on a ticket says whose key it is."""


class Limits(Frozen):
    """How much at once, and how long at most (seconds)."""

    parallel: int = Field(default=50, ge=1, le=1000)
    connect_timeout: Duration = Field(default=10.0, ge=1)
    """How long opening a connection to a host may take, where the inventory doesn't say it."""
    step_timeout: Duration = 600.0
    lease: Duration = Field(default=60.0, ge=1)
    """A runner that showed no life for so long may be replaced by another one."""
    closing: Duration = 120.0
    """How long the end of a run waits for its ticket before it says that the ticket lacks something."""


class Backups(Frozen):
    """Who can read large backups (databases, trees of files), and for how long they are kept."""

    recipients: tuple[Name, ...] = ()
    """Public keys of age or SSH. Without any, backups are not encrypted."""
    identity: str | None = None
    """A reference to the private key that reads them: each backup is read when it is proved."""
    keep_days: int = Field(default=14, ge=1)

    @model_validator(mode="after")
    def _readable(self) -> Backups:
        if self.recipients and not self.identity:
            raise ValueError("recipients need an identity, or no backup could be proved")
        return self


class Proof(Frozen):
    """What `remediate test` may break, and how much of it is compared."""

    disposable: tuple[Name, ...] = ()
    """Hosts or groups, beside those of the lab, that may be broken on purpose."""
    watch: tuple[Path, ...] = ()
    """Folders on hosts that are compared, besides those that always are."""
    ignore: tuple[Name, ...] = ()
    """Patterns of what may differ afterwards, such as ``file:/etc/motd`` or ``unit:backup.*``."""


class CredentialSection(Frozen):
    """Programs that print a secret, by the name that ``command:NAME`` refers to them with."""

    commands: dict[str, tuple[str, ...]] = {}
