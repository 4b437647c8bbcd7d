"""A device as steps and checks see it: read it, configure it, save it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby

from remediate.adapters.clients import ClientPool, load_sdk
from remediate.adapters.hosts.errors import Unreachable
from remediate.adapters.network.access import device_access
from remediate.adapters.network.config import Edit, Tree, masked, parse, path_to, stable
from remediate.adapters.network.platforms import Platform, filled
from remediate.adapters.network.session import DeviceSession
from remediate.errors import InputError, StepFailed
from remediate.model.clip import clip
from remediate.model.step import Context
from remediate.model.target import Target

SDKS = ("paramiko", "netmiko")
_READ_SECONDS = 60.0
_LINE_SECONDS = 20.0
_COMMIT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Config:
    """A running configuration: its text without volatile lines, and the tree of it."""

    text: str
    tree: Tree


class Rejected(StepFailed):
    """The device did not accept a line. ``back`` tells whether nothing is left of those before it."""

    back = False


class Device:
    """One device. Reads are made again over a new session if theirs broke; changes never are."""

    def __init__(self, context: Context, target: Target) -> None:
        self.name = target.name
        self._context, self._target = context, target
        try:
            self._access = device_access(target)
        except InputError as error:
            raise Unreachable(error.problem, error.advice) from None
        self.platform: Platform = self._access.platform

    @property
    def _session(self) -> DeviceSession:
        clients = self._context.clients
        key = ("network", self.name)

        def open_() -> DeviceSession:
            load_sdk(*SDKS)
            return DeviceSession(self._access, self._context.secrets, clients)

        session = clients.get(key, open_, DeviceSession.close)
        if not session.usable():
            clients.drop(key)
            session = clients.get(key, open_, DeviceSession.close)
        return session

    def read(self, command: str, seconds: float = _READ_SECONDS) -> str:
        """What the device says to a command that only reads.

        Raises:
            Unreachable: it can't be reached, or says nothing in time.
            StepFailed: it doesn't know the command.
        """
        seconds = min(seconds, self._context.timeout)
        session = self._session
        try:
            answer = session.ask(command, seconds)
        except Unreachable:
            if session.usable():
                raise
            answer = self._session.ask(command, seconds)
        if said := self.platform.rejected(answer):
            raise StepFailed(f"{self.name}: {command!r}: {said}")
        return answer

    def running(self) -> Config:
        """The running configuration.

        Raises:
            StepFailed: the answer was cut off.
        """
        text = self.read(self.platform.show).rstrip()
        if self.platform.whole and not re.search(self.platform.whole, text.rpartition("\n")[2]):
            last = clip(text.rpartition("\n")[2], 100)
            raise StepFailed(f"{self.name}: the running configuration was cut off: …{last}")
        kept = stable(text, self.platform)
        return Config(kept, parse(kept, self.platform))

    def save(self) -> str:
        """Make the running configuration the one that the device boots with; returns what it said.

        Raises:
            StepFailed: it refused.
            InDoubt: nobody knows.
        """
        said = [self._must(self._session, command, _COMMIT_SECONDS) for command in self.platform.save]
        text = "\n".join(said).strip()
        if self.platform.saved and not re.search(self.platform.saved, text):
            raise StepFailed(f"{self.name}: the configuration was not saved: {clip(text, 500)}")
        return text

    def do(self, commands: Sequence[str]) -> str:
        """Commands that change something, in one turn."""
        session = self._session
        with session.turn:
            return "\n".join(self._must(session, command, _COMMIT_SECONDS) for command in commands).strip()

    def configure(self, wanted: Sequence[Edit], before: Config, name: str, revert_seconds: int = 0) -> str:
        """Enter lines; returns the device's own account of the difference, where it gives one.

        Args:
            wanted: the lines, in order.
            before: the running configuration, read just now.
            name: of the attempt; candidates and commits carry it.
            revert_seconds: let the device's own timer take it back after that; 0 without.

        Raises:
            Rejected: a line was not accepted. What was accepted before it was taken back, or the message says
                that it wasn't.
            Unreachable: nothing was sent.
            InDoubt: nobody knows how far it came.
        """
        platform = self.platform
        revert = platform.revert if revert_seconds else None
        begin = filled(revert.begin if revert else platform.begin, name, revert_seconds)
        commit = filled(revert.commit if revert else platform.commit, name, revert_seconds)
        session = self._session
        with session.turn:
            for command in begin:
                self._must(session, command, _LINE_SECONDS)
            try:
                self._enter(session, wanted)
                said = self._must(session, platform.compare, _LINE_SECONDS) if platform.compare else ""
                if platform.candidate:
                    self._commit(session, commit)
            except Rejected as error:
                raise self._taken_back(session, error, before, name) from None
            if not platform.candidate:
                self._commit(session, commit)
        return masked(said, platform)

    def _enter(self, session: DeviceSession, wanted: Sequence[Edit]) -> None:
        """Line by line, because a device says only after a line whether it accepts it."""
        for parents, group in groupby(wanted, key=lambda edit: edit.parents):
            for parent in parents:
                self._must(session, parent, _LINE_SECONDS)
            for edit in group:
                before = session.prompt
                self._must(session, edit.line, _LINE_SECONDS)
                if session.prompt != before and not self.platform.flat:
                    # The line opened a block of its own.
                    self._must(session, "exit", _LINE_SECONDS)
            for _ in parents:
                self._must(session, "exit", _LINE_SECONDS)

    def _commit(self, session: DeviceSession, commands: Sequence[str]) -> None:
        for command in commands:
            self._must(session, command, _COMMIT_SECONDS)

    def _taken_back(self, session: DeviceSession, error: Rejected, before: Config, name: str) -> Rejected:
        """Leave configuration mode without the lines that were accepted before the one that wasn't."""
        for command in filled(self.platform.abort, name):
            session.ask(command, _LINE_SECONDS, effect=True)
        back = "nothing was committed"
        if not self.platform.candidate:
            back = "nothing of it is left"
            now = self.running()
            if now.text != before.text:
                self.go_back(now.tree, before.tree, name)
                back = "the lines before it were taken back"
        if self.running().text != before.text:
            return Rejected(f"{error.problem}; lines before it could not be taken back", error.advice)
        told = Rejected(f"{error.problem}; {back}", error.advice)
        told.back = True
        return told

    def go_back(self, now: Tree, then: Tree, name: str) -> None:
        """Enter the lines that lead from one configuration to another; the caller reads what came of it.

        A negated line is tried with fewer and fewer words, because platforms differ in how much of a line
        they want to hear again (frr-reload.py does the same).
        """
        platform = self.platform
        session = self._session
        with session.turn:
            for command in filled(platform.begin, name):
                self._must(session, command, _LINE_SECONDS)
            for edit in path_to(now, then, platform):
                self._enter_somehow(session, edit)
            self._commit(session, filled(platform.commit, name))

    def _enter_somehow(self, session: DeviceSession, edit: Edit) -> None:
        words = edit.line.split(" ")
        shortest = 2 if words[0] == self.platform.negate else len(words)
        for parent in edit.parents:
            self._must(session, parent, _LINE_SECONDS)
        outside = session.prompt
        while self.platform.rejected(session.ask(" ".join(words), _LINE_SECONDS, effect=True)):
            if len(words) <= shortest:
                break
            words.pop()
        depth = len(edit.parents) + (session.prompt != outside and not self.platform.flat)
        for _ in range(depth if not self.platform.flat else 0):
            self._must(session, "exit", _LINE_SECONDS)

    def _must(self, session: DeviceSession, command: str, seconds: float) -> str:
        answer = session.ask(command, min(seconds, self._context.timeout), effect=True)
        if said := self.platform.rejected(answer):
            shown = masked(command, self.platform)
            raise Rejected(
                f"{self.name}: {shown!r} was not accepted: {masked(clip(said, 300), self.platform)}",
                "write the line as this device takes it",
            )
        return answer


def connect(context: Context, peer: Target | None = None) -> Device:
    """The device of this context's target, or of another that the step needs."""
    return Device(context, peer or context.target)


@contextmanager
def fresh(context: Context) -> Iterator[Context]:
    """The same context over connections that nobody used before: what is verified must not rest on a session
    that the change itself was made in."""
    with ClientPool() as pool:
        yield replace(context, clients=pool)
