"""Runbooks whose rollback is wrong in a small way, which nothing that they observe themselves shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from remediate.authoring import Playbook, Risk, Runbook, RunCommand, Step, Watch, Waves

#: All that these authors look at. Nothing ever happens to it.
SEEN = "/etc/hostname"


class _Wrong(Runbook):
    targets = "web"
    strategy = Waves(canary=0, then=4)
    risk = Risk(outage="none", data_loss="none")


class _Shell:
    """A step of two commands."""

    forward: ClassVar[str]
    back: ClassVar[str]

    def steps(self, inputs: Runbook.Inputs) -> Iterator[Step]:
        yield RunCommand(
            argv=("/bin/sh", "-ec", self.forward),
            undo_with=("/bin/sh", "-ec", self.back),
            touches=(SEEN,),
        )


class _Playbook:
    """A step of two playbooks."""

    path: ClassVar[str]

    def steps(self, inputs: Runbook.Inputs) -> Iterator[Step]:
        yield Playbook(
            f"playbooks/{self.path}.yml",
            rollback=f"playbooks/{self.path}_back.yml",
            watch=Watch(files=[SEEN]),
        )


class RightUndo(_Shell, _Wrong):
    """Everything goes back."""

    forward = "cp -p /etc/crontab /root/kept; echo '# new' >> /etc/crontab; chmod 0600 /etc/crontab"
    back = "test ! -e /root/kept || cp -p /root/kept /etc/crontab"


class WrongMode(_Shell, _Wrong):
    """The content goes back, the mode does not."""

    forward = "cp /etc/crontab /root/kept; echo '# new' >> /etc/crontab; chmod 0600 /etc/crontab"
    back = "test ! -e /root/kept || cat /root/kept > /etc/crontab"


class WrongOwner(_Shell, _Wrong):
    """The content goes back, the owner does not."""

    forward = "cp /etc/crontab /root/kept; echo '# new' >> /etc/crontab; chown www-data /etc/crontab"
    back = "test ! -e /root/kept || cat /root/kept > /etc/crontab"


class LostAcl(_Shell, _Wrong):
    """The content goes back, an attribute (as an ACL is one) does not."""

    forward = (
        "cp /etc/crontab /root/kept; "
        "python3 -c \"import os; os.setxattr('/etc/crontab', 'user.origin', b'new')\""
    )
    back = "test ! -e /root/kept || cat /root/kept > /etc/crontab"


class LeftDisabled(_Shell, _Wrong):
    """The service runs again, and will not after the next boot."""

    forward = "systemctl disable --now shop"
    back = "systemctl start shop"


class NewVersion(_Shell, _Wrong):
    """The service runs again, on the new package."""

    forward = "apt-get install -qq --allow-downgrades shop=1.1-1; systemctl restart shop"
    back = "systemctl restart shop"


class MarkedManual(_Shell, _Wrong):
    """The version goes back; apt will never remove the package by itself again."""

    forward = "apt-mark manual libargon2-1"
    back = "dpkg-query -W libargon2-1"


class LeftFile(_Shell, _Wrong):
    """The setting goes back, a helper's file stays in a watched folder."""

    forward = "mkdir -p /usr/local/share/fix; cp /etc/crontab /usr/local/share/fix/old; echo >> /etc/crontab"
    back = "cat /usr/local/share/fix/old > /etc/crontab; rm /usr/local/share/fix/old"


class LinkReplaced(_Shell, _Wrong):
    """A file with the right content, where a symbolic link was."""

    forward = "cp --remove-destination /etc/hostname /etc/nginx/sites-enabled/shop"
    back = "cp --remove-destination /etc/nginx/sites-available/shop /etc/nginx/sites-enabled/shop"


class LastLine(_Shell, _Wrong):
    """A line break less than before."""

    forward = "cp /etc/crontab /root/kept; echo '# new' >> /etc/crontab"
    back = 'printf %s "$(cat /root/kept)" > /etc/crontab'


class ForgottenTask(_Playbook, _Wrong):
    """Its rollback has a task less."""

    path = "forgotten"


class OnlyComplete(_Playbook, _Wrong):
    """Its rollback expects that every task was done."""

    path = "only_complete"


class NothingUndoes(_Wrong):
    """Its author says that nothing takes it back."""

    def steps(self, inputs: Runbook.Inputs) -> Iterator[Step]:
        yield RunCommand(
            argv=("/bin/sh", "-c", "echo new > /etc/fix-1"),
            undo_with=("rm", "-f", "/etc/fix-1"),
            touches=("/etc/fix-1",),
        )
        yield RunCommand(argv=("rm", "-f", "/var/log/fix-old"), irreversible="the old log is gone")
